import { bind } from './native.ts';

/** Lets one thread of this process interrupt a system call in which another one waits (pthread_kill(3)). */

/** SIGURG, which is ignored unless a process asks for it. */
const SIGNAL = 23;

const calls = {
  self: bind('pthread_self', 'uintptr_t', []),
  kill: bind('pthread_kill', 'int', ['uintptr_t', 'int']),
  interrupt: bind('siginterrupt', 'int', ['int', 'int']),
} as const;

let isPrepared = false;

/** Returns a number for the calling thread, for {@link interruptThread}. */
export function thisThread(): number {
  return calls.self();
}

/**
 * Interrupts the system call in which a thread waits: it fails with EINTR. Nothing happens to a thread that is not in
 * one, so the caller must try again until that thread has noticed. Must be called on the main thread.
 * @param thread one that has not ended
 */
export function interruptThread(thread: number): void {
  if (!isPrepared) {
    process.on('SIGURG', () => undefined);
    // Node lets the kernel go on with system calls that a signal interrupts.
    calls.interrupt(SIGNAL, 1);
    isPrepared = true;
  }
  calls.kill(thread, SIGNAL);
}
