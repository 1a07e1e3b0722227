import { bind } from '../../base/linux/native.ts';

const exit = bind('_exit', 'void', ['int']);

/**
 * Ends this process at once. Not by process.exit, which now and then never returns: Node waits there for V8's compiling threads, and one of
 * those may wait for a collection by the thread that waits (nodejs/node#54918, open); our bound on serving threads' heaps makes that likely
 * enough to be seen once in some hundred mounts. Not for a command: what Node did to its caller's standard streams is not undone.
 */
export function exitNow(code: number): never {
  exit(code);
  throw new Error('_exit returned');
}
