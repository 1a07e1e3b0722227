import fs from 'node:fs';
import { join } from 'node:path';
import { runProgram } from './programs.ts';

/** Names that every dump has: of its pages, of its first process, and of what restore reads first. */
export const NAMES_OF_A_DUMP = ['pages-1.img', 'core-1.img', 'inventory.img'] as const;

/** A file system on a block device of its own, which can be searched for what it has in clear. */
export class RawDisk {
  readonly #device: string;
  readonly #mountPoint: string;

  /** @param memory a directory on a tmpfs, for the device @param mountPoint is made */
  constructor(memory: string, mountPoint: string) {
    this.#device = join(memory, 'device');
    this.#mountPoint = mountPoint;
    fs.writeFileSync(this.#device, '');
    fs.truncateSync(this.#device, 256 << 20);
    fs.mkdirSync(mountPoint);
    runProgram('mkfs.ext4', '-q', this.#device);
    // By `sync`, or what is removed soon would never be written, which a busy disk does not promise.
    runProgram('mount', '-o', 'loop,sync', this.#device, mountPoint);
  }

  unmount(): void {
    runProgram('umount', this.#mountPoint);
  }

  /** Returns, for each needle by its name, whether any block has it. */
  holds(needles: Readonly<Record<string, string | Buffer>>): Record<string, boolean> {
    const bytes = fs.readFileSync(this.#device);
    return Object.fromEntries(Object.entries(needles).map(([name, needle]) => [name, bytes.includes(needle)]));
  }
}
