import { constants } from 'node:os';
import { wipe } from '../wipe.ts';
import { lockPages, MEMORY_PAGE_SIZE, mapPages, unlockPages, unmap } from './memory.ts';
import { bind, Region } from './native.ts';
import { systemError } from './system-error.ts';

/**
 * Where a thread handles signals. The kernel saves all registers of the thread there first, whatever they hold: pieces
 * of plaintext that was copied, or of a key. By default that is the stack of the moment, on which it stays until chance
 * overwrites it.
 */

const { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP } = constants.signals;
/** What a thread brings about itself. Such signals cannot wait. */
const FAULTS = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP];

/** struct sigaction, sigset_t and stack_t of the C library, on machines of 64 bits. */
const SIGACTION = { flags: 136, sizeof: 152 } as const;
const SIGSET_BYTES = 128;
const STACK = { address: 0, flags: 8, length: 16, sizeof: 24 } as const;
const SA_ONSTACK = 0x08000000;
const SA_RESTART = 0x10000000;
const SIG_SETMASK = 2;
const SS_DISABLE = 2;
/** The auxiliary value that says how much the kernel saves at most; 0 from a kernel that does not say it. */
const AT_MINSIGSTKSZ = 51;
/** For the functions that handle a signal, and for what the kernel saves where it does not say how much that is. */
const ROOM = 32 << 10;

const calls = {
  getauxval: bind('getauxval', 'ulong', ['ulong']),
  sigaction: bind('sigaction', 'int', ['int', 'uintptr_t', 'uintptr_t']),
  sigaltstack: bind('sigaltstack', 'int', ['uintptr_t', 'uintptr_t']),
  sigfillset: bind('sigfillset', 'int', ['uintptr_t']),
  sigdelset: bind('sigdelset', 'int', ['uintptr_t', 'int']),
  mask: bind('pthread_sigmask', 'int', ['int', 'uintptr_t', 'uintptr_t']),
  yield: bind('sched_yield', 'int', []),
} as const;

/**
 * Has a signal, which must have a handler, handled on the {@link SignalStack} of a thread that has one, and system
 * calls that it interrupts fail with EINTR.
 * @throws Error
 */
export function handleOnSignalStack(signal: number): void {
  const { address, view } = new Region(SIGACTION.sizeof);
  if (calls.sigaction(signal, 0, address) !== 0) throw systemError('sigaction');
  const flags = view.getInt32(SIGACTION.flags, true);
  view.setInt32(SIGACTION.flags, (flags | SA_ONSTACK) & ~SA_RESTART, true);
  if (calls.sigaction(signal, address, 0) !== 0) throw systemError('sigaction');
}

/** Locked memory on which the calling thread handles the one signal that it takes. Only that thread may use it. */
export class SignalStack {
  readonly #pages: Region;

  /**
   * Leaves all other signals but faults to the other threads of the process.
   * @throws Error
   */
  constructor(signal: number) {
    const length = Math.ceil((calls.getauxval(AT_MINSIGSTKSZ) + ROOM) / MEMORY_PAGE_SIZE) * MEMORY_PAGE_SIZE;
    this.#pages = mapPages(length);
    lockPages(this.#pages.address, length);
    const blocked = new Region(SIGSET_BYTES);
    calls.sigfillset(blocked.address);
    for (const one of [signal, ...FAULTS]) calls.sigdelset(blocked.address, one);
    calls.mask(SIG_SETMASK, blocked.address, 0);
    useStack(this.#pages.address, 0, length);
  }

  /** Overwrites what was saved. A signal that was sent to this thread before is handled first. */
  wipe(): void {
    // Signals that wait are handled at the latest when a system call returns.
    calls.yield();
    wipe(this.#pages.bytes);
  }

  /** Wipes, and gives the memory back. No signal may be sent to this thread any more. */
  remove(): void {
    this.wipe();
    useStack(0, SS_DISABLE, 0);
    unlockPages(this.#pages.address, this.#pages.length);
    unmap(this.#pages);
  }
}

function useStack(address: number, flags: number, length: number): void {
  const stack = new Region(STACK.sizeof);
  stack.view.setBigUint64(STACK.address, BigInt(address), true);
  stack.view.setInt32(STACK.flags, flags, true);
  stack.view.setBigUint64(STACK.length, BigInt(length), true);
  if (calls.sigaltstack(stack.address, 0) !== 0) throw systemError('sigaltstack');
}
