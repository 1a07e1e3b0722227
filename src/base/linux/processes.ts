import { constants } from 'node:os';
import { StringVector } from './c-strings.ts';
import { duplicateFrom, duplicateTo, setCloseOnExec } from './descriptors.ts';
import { bind, lastErrno, Region } from './native.ts';
import { systemError } from './system-error.ts';

/** How processes begin and end, and what others may do with them. */

/** linux/prctl.h */
const PR_SET_DUMPABLE = 4;
/** asm-generic/resource.h */
const RLIMIT_CORE = 4;
const SIZE_OF_RLIMIT = 16;

const calls = {
  waitpid: bind('waitpid', 'int', ['int', 'uintptr_t', 'int']),
  execve: bind('execve', 'int', ['str', 'uintptr_t', 'uintptr_t']),
  setsid: bind('setsid', 'int', []),
  exit: bind('_exit', 'void', ['int']),
  prctl: bind('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong']),
  setrlimit: bind('setrlimit', 'int', ['int', 'uintptr_t']),
} as const;

/**
 * Replaces this process by another program, which inherits standard input, output and errors, `inherited` as
 * descriptors 3 and on, and what else is not marked to be closed. Returns only by throwing.
 */
export function replaceProcess(
  program: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  inherited: readonly number[],
): never {
  const argv = new StringVector([program, ...args]);
  const envp = new StringVector(Object.entries(environment).map(([name, value]) => `${name}=${value}`));
  // Out of the way first, for any of them may have the number that another one is to get.
  const aside = inherited.map((fd) => duplicateFrom(fd, 3 + inherited.length));
  // These numbers may be Node's own descriptors: nothing of Node may run from here on.
  for (const [index, fd] of aside.entries()) duplicateTo(fd, 3 + index);
  for (const fd of aside) setCloseOnExec(fd, true);
  for (const fd of [0, 1, 2]) setCloseOnExec(fd, false);
  calls.execve(program, argv.address, envp.address);
  throw systemError('execve');
}

/**
 * Waits until a child that Node knows nothing of has ended.
 * @param pid -1 for any child
 * @returns its exit code, 128 and the number of the signal that ended it; undefined when there is no such child
 */
export function waitForChild(pid: number): number | undefined {
  const status = new Region(4);
  while (calls.waitpid(pid, status.address, 0) < 0) {
    if (lastErrno() !== constants.errno.EINTR) return undefined;
  }
  return exitCodeFrom(status.view.getUint32(0, true));
}

/** Returns what a shell makes of the status of a process that ended (wait(2)): 128 plus the signal, if one ended it. */
export function exitCodeFrom(status: number): number {
  const signal = status & 0x7f;
  return signal === 0 ? (status >> 8) & 0xff : 128 + signal;
}

/**
 * Ends this process at once. Not by process.exit, which now and then never returns: Node waits there for V8's compiling
 * threads, and one of those may wait for a collection by the thread that waits (nodejs/node#54918, open); the bound on
 * serving threads' heaps makes that likely enough to be seen once in some hundred mounts. Not for a command: what Node
 * did to its caller's standard streams is not undone.
 */
export function exitNow(code: number): never {
  calls.exit(code);
  throw new Error('_exit returned');
}

/** Moves this process to a session of its own, without a terminal. Returns false for the leader of a process group. */
export function beginSession(): boolean {
  return calls.setsid() >= 0;
}

/** Calls prctl(2) to forbid dumps of this process and its tracing. Returns whether the kernel agreed. */
export function makeUndumpable(): boolean {
  return calls.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) === 0;
}

/** Sets the size of this process's core files to nothing, for ever. Returns whether the kernel agreed. */
export function forbidCoreFiles(): boolean {
  return calls.setrlimit(RLIMIT_CORE, new Region(SIZE_OF_RLIMIT).address) === 0;
}
