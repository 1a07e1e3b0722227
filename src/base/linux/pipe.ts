import { bind, Region } from './native.ts';
import { O_CLOEXEC } from './open-flags.ts';
import { systemError } from './system-error.ts';

const pipe2 = bind('pipe2', 'int', ['uintptr_t', 'int']);

/** Makes a pipe, of which children inherit neither end unless they are given it. @throws Error */
export function makePipe(): { readonly readEnd: number; readonly writeEnd: number } {
  const ends = new Region(8);
  if (pipe2(ends.address, O_CLOEXEC) !== 0) throw systemError('pipe2');
  return { readEnd: ends.view.getInt32(0, true), writeEnd: ends.view.getInt32(4, true) };
}
