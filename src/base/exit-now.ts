import { bind } from './native.ts';

const exit = bind('_exit', 'void', ['int']);

/**
 * Ends this process, once those who listen for that were told. Not by process.exit, which now and then never returns: Node waits there
 * for V8's compiling threads, and one of those may wait for a collection by the thread that waits (nodejs/node#54918, open; seen once in some
 * hundred mounts). Output must have been written.
 */
export function exitNow(code: number): never {
  process.emit('exit', code);
  exit(code);
  throw new Error('_exit returned');
}
