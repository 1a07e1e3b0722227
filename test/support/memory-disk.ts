/**
 * Files in memory as a disk holds them, and what can be done to them, one thing at a time: so that a crash between any
 * two can be played.
 */

const PAGE = 4096;

/** One change of a disk. A file is known by a number, as names come and go. */
export type DiskOperation =
  | { readonly kind: 'create'; readonly file: number; readonly name: string }
  | { readonly kind: 'write'; readonly file: number; readonly position: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly file: number; readonly size: number }
  | { readonly kind: 'punch'; readonly file: number; readonly position: number; readonly length: number }
  | { readonly kind: 'rename'; readonly name: string; readonly to: string }
  | { readonly kind: 'remove'; readonly name: string }
  /** All before it that was done to the file's content is durable. */
  | { readonly kind: 'sync'; readonly file: number }
  /** All names of a directory are durable as they are. */
  | { readonly kind: 'sync-names'; readonly directory: string };

/** Content in pages; one that was never written is none. */
export class DiskFile {
  readonly number: number;
  size = 0;
  readonly #pages = new Map<number, Buffer>();

  constructor(number: number) {
    this.number = number;
  }

  write(position: number, bytes: Buffer): void {
    for (let done = 0; done < bytes.length; ) {
      const at = position + done;
      const inPage = at % PAGE;
      const length = Math.min(PAGE - inPage, bytes.length - done);
      const page = Buffer.from(this.#pages.get(Math.floor(at / PAGE)) ?? Buffer.alloc(PAGE));
      bytes.copy(page, inPage, done, done + length);
      this.#pages.set(Math.floor(at / PAGE), page);
      done += length;
    }
    this.size = Math.max(this.size, position + bytes.length);
  }

  read(position: number, length: number): Buffer {
    const out = Buffer.alloc(Math.max(0, Math.min(length, this.size - position)));
    for (let done = 0; done < out.length; ) {
      const at = position + done;
      const part = Math.min(PAGE - (at % PAGE), out.length - done);
      this.#pages.get(Math.floor(at / PAGE))?.copy(out, done, at % PAGE, (at % PAGE) + part);
      done += part;
    }
    return out;
  }

  truncate(size: number): void {
    if (size < this.size) this.punch(size, this.size - size);
    this.size = size;
  }

  punch(position: number, length: number): void {
    const end = position + length;
    for (const [number, page] of this.#pages) {
      const start = number * PAGE;
      if (start >= position && start + PAGE <= end) this.#pages.delete(number);
      else if (start < end && start + PAGE > position) {
        const cleared = Buffer.from(page);
        cleared.fill(0, Math.max(0, position - start), Math.min(PAGE, end - start));
        this.#pages.set(number, cleared);
      }
    }
  }

  /** Bytes of pages that are there. */
  get usedBytes(): number {
    return this.#pages.size * PAGE;
  }
}

export class MemoryDisk {
  readonly names = new Map<string, DiskFile>();
  readonly #files = new Map<number, DiskFile>();

  apply(operation: DiskOperation): void {
    switch (operation.kind) {
      case 'create': {
        this.names.set(operation.name, this.#file(operation.file));
        break;
      }
      case 'write':
        this.#file(operation.file).write(operation.position, operation.bytes);
        break;
      case 'truncate':
        this.#file(operation.file).truncate(operation.size);
        break;
      case 'punch':
        this.#file(operation.file).punch(operation.position, operation.length);
        break;
      case 'rename': {
        const file = this.names.get(operation.name);
        if (file === undefined) break;
        this.names.delete(operation.name);
        this.names.set(operation.to, file);
        break;
      }
      case 'remove':
        this.names.delete(operation.name);
        break;
    }
  }

  get usedBytes(): number {
    return [...this.names.values()].reduce((sum, file) => sum + file.usedBytes, 0);
  }

  #file(number: number): DiskFile {
    const known = this.#files.get(number);
    if (known !== undefined) return known;
    const made = new DiskFile(number);
    this.#files.set(number, made);
    return made;
  }
}

/** 'objects' or '' of a name. */
export function directoryOf(name: string): string {
  return name.startsWith('objects/') ? 'objects' : '';
}

/** For each operation whether it is durable when those given have been done and power is lost. */
export function durableOperations(log: readonly DiskOperation[]): boolean[] {
  const durable = new Array<boolean>(log.length).fill(false);
  const syncedFiles = new Set<number>();
  const syncedDirectories = new Set<string>();
  for (let at = log.length - 1; at >= 0; at--) {
    const operation = log[at] as DiskOperation;
    switch (operation.kind) {
      case 'sync':
        syncedFiles.add(operation.file);
        break;
      case 'sync-names':
        syncedDirectories.add(operation.directory);
        break;
      case 'create':
      case 'remove':
      case 'rename':
        durable[at] = syncedDirectories.has(directoryOf(operation.name));
        break;
      default:
        durable[at] = syncedFiles.has(operation.file);
    }
  }
  return durable;
}

/** What is on the disk after a crash. @param keep of an operation that was not durable, what of it there is */
export function diskAfter(
  log: readonly DiskOperation[],
  keep: (operation: DiskOperation) => DiskOperation | undefined,
): MemoryDisk {
  const disk = new MemoryDisk();
  const durable = durableOperations(log);
  for (const [at, operation] of log.entries()) {
    const kept = durable[at] === true ? operation : keep(operation);
    if (kept !== undefined) disk.apply(kept);
  }
  return disk;
}
