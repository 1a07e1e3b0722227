import { setImmediate as eventsHandled } from 'node:timers/promises';
import { setNonBlocking } from '../../base/linux/descriptors.ts';
import { Region } from '../../base/linux/native.ts';
import { Waiting } from '../../base/linux/waiting.ts';
import { POLLS_DEVICE } from '../../base/tuning.ts';
import { wipe } from '../../base/wipe.ts';
import { FUSE_MIN_READ_BUFFER } from '../protocol/abi.ts';
import type { Connection } from './connection.ts';
import { poll, type Received, receive, reply } from './device-loop.ts';

/** How long requests are answered before signals and sockets of this thread have their turn. */
const TURN_MILLISECONDS = 5;

/**
 * Serves one connection on an open /dev/fuse from this thread's event loop, which goes on meanwhile: signals and
 * sockets are heard between requests. It polls for a moment before it waits, since that costs a hop to another thread
 * and back; a thread that has nothing else to do serves by {@link serve}. Must be the only one that serves the mount.
 */
export class EventLoopServer {
  readonly #fd: number;
  readonly #connection: Connection;
  readonly #waiting: Waiting;
  #isStopped = false;

  constructor(fd: number, connection: Connection) {
    this.#fd = fd;
    this.#connection = connection;
    this.#waiting = new Waiting(fd);
  }

  /**
   * Serves until the mount is gone or {@link stop} is called; every request that was read is then answered, and the
   * memory of requests and replies is wiped.
   * @param onTurn is called after each turn, when no request is being answered
   * @throws CkptfsError `internal` when the device fails in an unexpected way
   */
  async serve(onTurn: () => void): Promise<'gone' | 'stopped'> {
    const request = new Region(this.#connection.maxTransfer + FUSE_MIN_READ_BUFFER);
    // A request that is interrupted disappears: the next read would wait for another one.
    setNonBlocking(this.#fd, true);
    try {
      while (!this.#isStopped) {
        await this.#waiting.readable();
        while (!this.#isStopped) {
          const turn = this.#turn(request);
          if (turn === 'gone') return 'gone';
          onTurn();
          if (turn === 'idle') break;
          await eventsHandled();
        }
      }
      return 'stopped';
    } finally {
      this.#connection.wipe();
      wipe(request.bytes);
      setNonBlocking(this.#fd, false);
      this.stop();
      this.#waiting.close();
    }
  }

  /** Lets {@link serve} end. May be called again. */
  stop(): void {
    if (!this.#isStopped) this.#waiting.end();
    this.#isStopped = true;
  }

  #turn(request: Region): 'busy' | 'idle' | 'gone' {
    const end = performance.now() + TURN_MILLISECONDS;
    do {
      const received = this.#receive(request);
      if (received === 'gone') return 'gone';
      if (received === 'again') return 'idle';
      const length = this.#connection.handle(request, received);
      if (length > 0) reply(this.#fd, this.#connection, length);
      this.#connection.settle();
    } while (performance.now() < end);
    return 'busy';
  }

  #receive(request: Region): Received {
    const received = receive(this.#fd, request);
    return received === 'again' && POLLS_DEVICE ? poll(this.#fd, request) : received;
  }
}
