import { errnoName } from '../errno.ts';
import { lastErrno } from './native.ts';

/** Makes the Error of the last failed call, in Node's shape (`code`, `errno`, `syscall`). */
export function systemError(syscall: string, errno: number = lastErrno()): Error {
  const code = errnoName(errno) ?? `E${errno}`;
  return Object.assign(new Error(`${code}: ${syscall}`), { code, errno: -errno, syscall });
}
