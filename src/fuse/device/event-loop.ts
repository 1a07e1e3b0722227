import { setNonBlocking } from '../../base/linux/descriptors.ts';
import { Region } from '../../base/linux/native.ts';
import { Waiting } from '../../base/linux/waiting.ts';
import { wipe } from '../../base/wipe.ts';
import { FUSE_MIN_READ_BUFFER } from '../protocol/abi.ts';
import type { Connection } from './connection.ts';
import { receive, reply } from './device-loop.ts';

/** How many requests are answered before signals and sockets of this thread have their turn. */
const REQUESTS_PER_TURN = 16;

/**
 * Serves one connection on an open /dev/fuse from this thread's event loop, which goes on meanwhile: signals and
 * sockets are heard between requests. Each pause costs a hop to another thread and back, so a thread that has nothing
 * else to do serves by {@link serve}. Must be the only one that serves the mount.
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
        if (!this.#isStopped && this.#turn(request) === 'gone') return 'gone';
        onTurn();
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

  #turn(request: Region): 'again' | 'gone' {
    for (let count = 0; count < REQUESTS_PER_TURN; count++) {
      const received = receive(this.#fd, request);
      if (typeof received === 'string') return received;
      const length = this.#connection.handle(request, received);
      if (length > 0) reply(this.#fd, this.#connection, length);
      this.#connection.settle();
    }
    return 'again';
  }
}
