import { bind, type Region } from './native.ts';

/**
 * Calls on descriptors of a device, bound directly because that is faster: pread(2) of a cached page took 200 ns, and
 * 350 ns through fs.readSync. They return -1 after a failure, see `lastErrno`.
 */

/** read(2). @param address of `length` bytes */
export const readDevice: (fd: number, address: number, length: number) => number = bind('read', 'long', [
  'int',
  'uintptr_t',
  'size_t',
]);

/** write(2). @param address of `length` bytes */
export const writeDevice: (fd: number, address: number, length: number) => number = bind('write', 'long', [
  'int',
  'uintptr_t',
  'size_t',
]);

/** writev(2). @param vector the address of `count` structs iovec */
export const writeDeviceVector: (fd: number, vector: number, count: number) => number = bind('writev', 'long', [
  'int',
  'uintptr_t',
  'int',
]);

const calls = {
  open: bind('open', 'int', ['str', 'int']),
  ioctl: bind('ioctl', 'int', ['int', 'ulong', 'uintptr_t']),
} as const;

/** Calls open(2). Returns -1 after a failure. */
export function openDevice(path: string, flags: number): number {
  return calls.open(path, flags);
}

/** Calls ioctl(2). Returns -1 after a failure. */
export function controlDevice(fd: number, request: number, argument: Region): number {
  return calls.ioctl(fd, request, argument.address);
}
