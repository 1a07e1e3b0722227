import { constants } from 'node:os';
import { bind, lastErrno, Region } from './native.ts';
import { exitCodeFrom } from './processes.ts';
import { systemError } from './system-error.ts';

/** Stops another process at its end, before it lets go of anything (ptrace(2)). Constants are those of sys/ptrace.h. */

const PTRACE_CONT = 7;
const PTRACE_DETACH = 17;
const PTRACE_GETEVENTMSG = 0x4201;
const PTRACE_SEIZE = 0x4206;
const PTRACE_LISTEN = 0x4208;
const PTRACE_O_TRACEEXIT = 0x40;
const PTRACE_EVENT_EXIT = 6;
const PTRACE_EVENT_STOP = 128;

const WNOHANG = 1;
const WALL = 0x40000000;

const PR_SET_CHILD_SUBREAPER = 36;

const calls = {
  ptrace: bind('ptrace', 'long', ['long', 'long', 'uintptr_t', 'uintptr_t']),
  waitpid: bind('waitpid', 'int', ['int', 'uintptr_t', 'int']),
  prctl: bind('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong']),
} as const;

const STOPPING_SIGNALS: readonly number[] = [
  constants.signals.SIGSTOP,
  constants.signals.SIGTSTP,
  constants.signals.SIGTTIN,
  constants.signals.SIGTTOU,
];

/** What became of a traced process. `exitCode`: its own, or 128 and the number of the signal that ends it. */
export type ExitTrace =
  | { readonly state: 'running' }
  | { readonly state: 'exiting'; readonly exitCode: number }
  | { readonly state: 'gone' };

/**
 * Has the kernel stop a process at its end, whatever ends it, SIGKILL too: its descriptors are still open then. This
 * process gets SIGCHLD. The process goes on untraced when this one ends.
 * @throws Error EPERM where tracing is not allowed; ESRCH
 */
export function traceExit(pid: number): void {
  if (calls.ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEEXIT) !== 0) throw systemError('ptrace');
}

/** Says where a traced process is. Never waits. To be called by the thread that called {@link traceExit}. */
export function lookAtTrace(pid: number): ExitTrace {
  const status = new Region(4);
  for (;;) {
    const found = calls.waitpid(pid, status.address, WNOHANG | WALL);
    if (found === 0) return { state: 'running' };
    if (found < 0) {
      if (lastErrno() === constants.errno.EINTR) continue;
      return { state: 'gone' };
    }
    const bits = status.view.getUint32(0, true);
    if ((bits & 0xff) !== 0x7f) return { state: 'gone' };
    const signal = (bits >>> 8) & 0xff;
    switch (bits >>> 16) {
      case PTRACE_EVENT_EXIT:
        return { state: 'exiting', exitCode: exitCodeOf(pid) };
      case PTRACE_EVENT_STOP:
        // A group stop goes on until SIGCONT; any other such stop is of no interest.
        calls.ptrace(STOPPING_SIGNALS.includes(signal) ? PTRACE_LISTEN : PTRACE_CONT, pid, 0, 0);
        break;
      default:
        calls.ptrace(PTRACE_CONT, pid, 0, signal);
    }
  }
}

/** Lets a process that is held at its end go. */
export function letExit(pid: number): void {
  calls.ptrace(PTRACE_DETACH, pid, 0, 0);
}

/**
 * Makes this process the parent of descendants whose own parent ends (prctl(2), PR_SET_CHILD_SUBREAPER), so that they
 * stay its descendants.
 * @throws Error
 */
export function adoptOrphans(): void {
  if (calls.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) !== 0) throw systemError('prctl');
}

function exitCodeOf(pid: number): number {
  const message = new Region(8);
  if (calls.ptrace(PTRACE_GETEVENTMSG, pid, 0, message.address) !== 0) return 128;
  return exitCodeFrom(message.view.getUint32(0, true));
}
