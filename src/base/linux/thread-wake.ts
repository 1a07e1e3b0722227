import { constants } from 'node:os';
import { bind } from './native.ts';
import { handleOnSignalStack } from './signal-stack.ts';

/** Lets one thread of this process interrupt a system call in which another one waits (pthread_kill(3)). */

/** SIGURG, which is ignored unless a process asks for it. */
export const WAKING_SIGNAL = constants.signals.SIGURG;

const calls = {
  self: bind('pthread_self', 'uintptr_t', []),
  kill: bind('pthread_kill', 'int', ['uintptr_t', 'int']),
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
    handleOnSignalStack(WAKING_SIGNAL);
    isPrepared = true;
  }
  calls.kill(thread, WAKING_SIGNAL);
}
