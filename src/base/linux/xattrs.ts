import { constants } from 'node:os';
import { cString } from './c-strings.ts';
import { bind, lastErrno, Region } from './native.ts';
import { systemError } from './system-error.ts';

/** Extended attributes of a path itself, not of what a link leads to. Paths are bytes. */

const MAX_VALUE_BYTES = 65536;

const calls = {
  llistxattr: bind('llistxattr', 'int64_t', ['uintptr_t', 'uintptr_t', 'size_t']),
  lgetxattr: bind('lgetxattr', 'int64_t', ['uintptr_t', 'uintptr_t', 'uintptr_t', 'size_t']),
  lsetxattr: bind('lsetxattr', 'int', ['uintptr_t', 'uintptr_t', 'uintptr_t', 'size_t', 'int']),
} as const;

/** Lists the names; none where the file system has no extended attributes. */
export function listXattrs(path: Uint8Array): Buffer[] {
  const name = cString(path);
  const length = calls.llistxattr(name.address, 0, 0);
  if (length < 0 && lastErrno() === constants.errno.EOPNOTSUPP) return [];
  if (length < 0) throw systemError('llistxattr');
  if (length === 0) return [];
  const list = new Region(length);
  const count = calls.llistxattr(name.address, list.address, length);
  if (count < 0) throw systemError('llistxattr');
  const names: Buffer[] = [];
  for (let start = 0; start < count; ) {
    const end = list.bytes.indexOf(0, start);
    names.push(Buffer.from(list.bytes.subarray(start, end)));
    start = end + 1;
  }
  return names;
}

export function getXattr(path: Uint8Array, attribute: Uint8Array): Buffer {
  const name = cString(path);
  const key = cString(attribute);
  const value = new Region(MAX_VALUE_BYTES);
  const length = calls.lgetxattr(name.address, key.address, value.address, value.length);
  if (length < 0) throw systemError('lgetxattr');
  return Buffer.from(value.bytes.subarray(0, length));
}

export function setXattr(path: Uint8Array, attribute: Uint8Array, value: Uint8Array): void {
  const name = cString(path);
  const key = cString(attribute);
  const bytes = new Region(Buffer.concat([value, Buffer.alloc(1)]));
  if (calls.lsetxattr(name.address, key.address, bytes.address, value.length, 0) !== 0) throw systemError('lsetxattr');
}
