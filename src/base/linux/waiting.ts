import { constants } from 'node:os';
import { closeDescriptor } from './descriptors.ts';
import { bind, bindAsync, lastErrno, Region } from './native.ts';
import { socketPair } from './sockets.ts';
import { systemError } from './system-error.ts';

/** struct pollfd, POLLIN and POLLERR of poll.h. */
const POLL = { fd: 0, events: 4, returned: 6, sizeof: 8 } as const;
const POLLIN = 1;
const POLLERR = 8;
const NOT_AT_ALL = 0;
const FOR_EVER = -1;

/** It runs on a thread of libuv, so that this thread's event loop goes on. */
const poll = bindAsync('poll', 'int', ['uintptr_t', 'ulong', 'int']);
const pollHere = bind('poll', 'int', ['uintptr_t', 'ulong', 'int']);

/** Keeps this thread until a descriptor can be read, has ended or has failed. */
export function waitUntilReadable(fd: number): void {
  const polled = new Region(POLL.sizeof);
  polled.view.setInt32(POLL.fd, fd, true);
  polled.view.setInt16(POLL.events, POLLIN, true);
  pollHere(polled.address, 1, FOR_EVER);
}

/** Tells whether a descriptor has failed, as that of a device has when what it serves is gone. */
export function hasFailed(fd: number): boolean {
  const polled = new Region(POLL.sizeof);
  polled.view.setInt32(POLL.fd, fd, true);
  return pollHere(polled.address, 1, NOT_AT_ALL) > 0 && (polled.view.getInt16(POLL.returned, true) & POLLERR) !== 0;
}

/** Waits for a descriptor that Node's event loop does not know how to watch, such as one of a device. */
export class Waiting {
  readonly #awake: number;
  readonly #waker: number;
  readonly #polled = new Region(2 * POLL.sizeof);

  constructor(fd: number) {
    [this.#awake, this.#waker] = socketPair();
    for (const [at, one] of [fd, this.#awake].entries()) {
      this.#polled.view.setInt32(at * POLL.sizeof + POLL.fd, one, true);
      this.#polled.view.setInt16(at * POLL.sizeof + POLL.events, POLLIN, true);
    }
  }

  /** Settles when the descriptor can be read or has failed, and always after {@link end}. @throws Error */
  async readable(): Promise<void> {
    const { address } = this.#polled;
    while ((await poll(address, 2, FOR_EVER)) < 0) {
      if (lastErrno() !== constants.errno.EINTR) throw systemError('poll');
    }
  }

  /** Lets {@link readable} settle at once, now and ever after. */
  end(): void {
    closeDescriptor(this.#waker);
  }

  /** Must be called after {@link end}, when nothing waits any more. */
  close(): void {
    closeDescriptor(this.#awake);
  }
}
