import { expect } from 'vitest';
import { Errno } from '../../src/base/errno.ts';
import { Region } from '../../src/base/linux/native.ts';
import type { WritableFileSystem } from '../../src/fuse/protocol/filesystem.ts';

/** On whose behalf {@link FileSystemClient} makes things. */
export const caller = { uid: 1000, gid: 100 };

/** One byte for each character. */
export function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** That it throws just this. */
export function refuses(code: Parameters<typeof Errno.of>[0], work: () => unknown): void {
  expect(work).toThrow(Errno.of(code));
}

/** A file system used without a kernel, in fewer words. Names are text of one character for each byte. */
export class FileSystemClient {
  readonly files: WritableFileSystem;

  constructor(files: WritableFileSystem) {
    this.files = files;
  }

  create(name: string, parent = 1): number {
    return this.files.create(parent, bytes(name), 0o644, caller).node;
  }

  mkdir(name: string, parent = 1): number {
    return this.files.mkdir(parent, bytes(name), 0o755, caller).node;
  }

  nodeOf(name: string, parent = 1): number {
    return this.files.lookup(parent, bytes(name)).node;
  }

  /** From the middle of other bytes. */
  write(node: number, offset: number, data: Uint8Array, killPrivileges = false): void {
    const from = new Region(Buffer.concat([bytes('before'), data, bytes('after')]));
    this.files.write(node, offset, data.length, from, 6, killPrivileges);
  }

  /** Into the middle of zeros, which must stay. */
  read(node: number, offset = 0, length = 1 << 20): Buffer {
    const out = new Region(length + 2);
    const count = this.files.read(node, offset, length, out, 1);
    expect([out.bytes[0], out.bytes[length + 1]]).toEqual([0, 0]);
    return Buffer.from(out.bytes.subarray(1, 1 + count));
  }

  text(node: number): string {
    return this.read(node).toString('latin1');
  }

  /** Returns the names after a cookie. */
  listed(directory: number, cookie = 0): string[] {
    return this.#entries(directory, cookie).map(([name]) => name);
  }

  cookies(directory: number): Map<string, number> {
    return new Map(this.#entries(directory, 0));
  }

  #entries(directory: number, from: number): [name: string, cookie: number][] {
    const entries: [string, number][] = [];
    for (let cookie = from; ; ) {
      const entry = this.files.entryAfter(directory, cookie);
      if (entry === undefined) return entries;
      expect(entry.cookie).not.toBe(cookie);
      entries.push([Buffer.from(entry.name).toString('latin1'), entry.cookie]);
      cookie = entry.cookie;
    }
  }
}
