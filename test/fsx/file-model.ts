const PAGE = 4096;

/** What a page, or the size, was before the step that changed it. */
interface Older<T> {
  readonly value: T;
  /** The first step it was not there any more. */
  readonly until: number;
}

/**
 * What a file holds, and all that it may hold after its writer was killed: what it held after one of the steps since
 * the last commit, or something between two steps, page by page.
 */
export class FileModel {
  #content: Buffer;
  #olderSizes: Older<number>[] = [];
  #olderPages = new Map<number, Older<Buffer>[]>();

  constructor(content: Buffer = Buffer.alloc(0)) {
    this.#content = content;
  }

  get content(): Buffer {
    return this.#content;
  }

  get size(): number {
    return this.#content.length;
  }

  /** Reads bytes, but none past the end. */
  read(offset: number, length: number): Buffer {
    return this.#content.subarray(offset, offset + length);
  }

  write(step: number, offset: number, bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#keepPages(step, Math.min(offset, this.size), offset + bytes.length);
    if (offset + bytes.length > this.size) this.#resize(step, offset + bytes.length);
    bytes.copy(this.#content, offset);
  }

  truncate(step: number, size: number): void {
    this.#keepPages(step, Math.min(size, this.size), Math.max(size, this.size));
    this.#resize(step, size);
  }

  /** Zeros within the file; the size stays. */
  zero(step: number, offset: number, length: number): void {
    const end = Math.min(offset + length, this.size);
    if (end <= offset) return;
    this.#keepPages(step, offset, end);
    this.#content.fill(0, offset, end);
  }

  /** From now on nothing older will be found. */
  commit(): void {
    this.#olderSizes = [];
    this.#olderPages.clear();
  }

  /**
   * Takes out of `possible`, which says for each step since `first` whether the state after it may be what was found,
   * those that this file rules out.
   * @returns what rules out the last of them, or undefined when some are left
   */
  exclude(found: Buffer, first: number, possible: boolean[]): string | undefined {
    const sizes = holding(this.#olderSizes, this.size, (size) => size === found.length);
    if (!narrow(possible, first, sizes)) return `its size is ${found.length}, not ${this.size}`;
    for (let start = 0; start < found.length; start += PAGE) {
      const part = found.subarray(start, start + PAGE);
      const older = this.#olderPages.get(start / PAGE) ?? [];
      const steps = holding(older, this.#page(start / PAGE), (page) => page.subarray(0, part.length).equals(part));
      if (!narrow(possible, first, steps))
        return `its page ${start / PAGE} holds what it should not; ${older.length} older states of it`;
    }
    return undefined;
  }

  #resize(step: number, size: number): void {
    this.#olderSizes.push({ value: this.size, until: step });
    const content = Buffer.alloc(size);
    this.#content.copy(content);
    this.#content = content;
  }

  #keepPages(step: number, start: number, end: number): void {
    for (let page = Math.floor(start / PAGE); page * PAGE < end; page++) {
      const older = this.#olderPages.get(page) ?? [];
      older.push({ value: this.#page(page), until: step });
      this.#olderPages.set(page, older);
    }
  }

  /** Returns a copy, with zeros past the end of the file. */
  #page(index: number): Buffer {
    const page = Buffer.alloc(PAGE);
    this.#content.subarray(index * PAGE, (index + 1) * PAGE).copy(page);
    return page;
  }
}

/**
 * The steps after which a value was as it was found, as [first, end) ranges; a step before it too, which may have been
 * done in part.
 */
function holding<T>(older: readonly Older<T>[], now: T, matches: (value: T) => boolean): (readonly [number, number])[] {
  const ranges: (readonly [number, number])[] = [];
  let since = 0;
  for (const { value, until } of [...older, { value: now, until: Number.POSITIVE_INFINITY }]) {
    if (matches(value)) ranges.push([since - 1, until]);
    since = until;
  }
  return ranges;
}

/** @returns whether a step is left */
function narrow(possible: boolean[], first: number, ranges: readonly (readonly [number, number])[]): boolean {
  let left = false;
  for (let at = 0; at < possible.length; at++) {
    const step = first + at;
    possible[at] &&= ranges.some(([start, end]) => step >= start && step < end);
    left ||= possible[at] === true;
  }
  return left;
}
