import { readdirSync } from 'node:fs';
import { bind, Region } from './native.ts';
import { systemError } from './system-error.ts';

/** Offsets in linux_dirent64, of the length of the record and of the name. */
const RECORD_LENGTH = 16;
const NAME = 19;

const getdents64 = bindIfThere('getdents64', 'int64_t', ['int', 'uintptr_t', 'size_t']);

/**
 * Lists the names in an open directory as bytes, without "." and "..", in the order of the file system.
 * @param fd readable, and at its start
 */
export function listNames(fd: number): Buffer[] {
  // A C library older than glibc 2.30 has no such function.
  if (getdents64 === undefined) return readdirSync(`/proc/self/fd/${fd}`, { encoding: 'buffer' });
  const names: Buffer[] = [];
  const records = new Region(32768);
  for (;;) {
    const length = getdents64(fd, records.address, records.length);
    if (length < 0) throw systemError('getdents64');
    if (length === 0) return names;
    for (let at = 0; at < length; at += records.view.getUint16(at + RECORD_LENGTH, true)) {
      const name = records.bytes.subarray(at + NAME, records.bytes.indexOf(0, at + NAME));
      if (!isDots(name)) names.push(Buffer.from(name));
    }
  }
}

/** Returns whether a name is "." or "..". */
export function isDots(name: Uint8Array): boolean {
  return name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
}

function bindIfThere(...symbol: Parameters<typeof bind>): ReturnType<typeof bind> | undefined {
  try {
    return bind(...symbol);
  } catch {
    return undefined;
  }
}
