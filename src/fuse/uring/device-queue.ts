import { CkptfsError } from '../../base/errors.ts';
import { closeDescriptor } from '../../base/linux/descriptors.ts';
import { discardPages, MEMORY_PAGE_SIZE, mapPages } from '../../base/linux/memory.ts';
import { Region } from '../../base/linux/native.ts';
import { wipe } from '../../base/wipe.ts';
import type { Connection } from '../device/connection.ts';
import { openPolling } from '../device/device.ts';
import { receive, reply } from '../device/device-loop.ts';
import { FUSE_MIN_READ_BUFFER, fuse_out_header } from '../protocol/abi.ts';

/** The most requests to answer before the ring has its turn again. */
const MAX_REQUESTS = 64;

/**
 * What still comes from /dev/fuse where a mount is served over io_uring: FUSE_INIT, FORGET, INTERRUPT, and what the
 * kernel sends before it has all queues. Its memory is hardly ever used, and takes no space before.
 */
export class DeviceQueue {
  /** A descriptor that never waits. */
  readonly fd: number;
  /** For the connection of {@link read}. */
  readonly replyMemory: Region;
  readonly #memory: Region;
  readonly #request: Region;
  #longestRequest = 0;
  #longestReply = 0;

  private constructor(fd: number, capacity: number) {
    this.fd = fd;
    this.#memory = mapPages(MEMORY_PAGE_SIZE + capacity + FUSE_MIN_READ_BUFFER + capacity);
    const reply = MEMORY_PAGE_SIZE - fuse_out_header.sizeof;
    this.replyMemory = new Region(this.#memory.bytes.subarray(reply, MEMORY_PAGE_SIZE + capacity));
    this.#request = new Region(this.#memory.bytes.subarray(MEMORY_PAGE_SIZE + capacity));
  }

  /**
   * @param fd the open /dev/fuse
   * @param capacity bytes of the largest READ
   * @throws CkptfsError `missing-feature` when this user may not open it once more
   */
  static open(fd: number, capacity: number): DeviceQueue {
    const polling = openPolling(fd);
    if (polling !== undefined) return new DeviceQueue(polling, capacity);
    throw new CkptfsError('missing-feature', 'this user may not open /dev/fuse', {
      data: { feature: 'fuse-device-access' },
    });
  }

  /** Answers what there is, but not for long. Returns false when the mount is gone. */
  read(connection: Connection): boolean {
    for (let count = 0; count < MAX_REQUESTS; count++) {
      const received = this.answer(this.fd, connection);
      if (received !== 'answered') return received === 'again';
    }
    return true;
  }

  /** Answers one request from a descriptor of the mount, which may wait for it. */
  answer(fd: number, connection: Connection): 'answered' | 'again' | 'gone' {
    const received = receive(fd, this.#request);
    if (received === 'gone' || received === 'again') return received;
    this.#longestRequest = Math.max(this.#longestRequest, received);
    const length = connection.handle(this.#request, received);
    this.#longestReply = Math.max(this.#longestReply, length);
    if (length > 0) reply(fd, connection, length);
    return 'answered';
  }

  close(): void {
    wipe(this.replyMemory.bytes, 0, this.#longestReply);
    wipe(this.#request.bytes, 0, this.#longestRequest);
    discardPages(this.#memory);
    closeDescriptor(this.fd);
  }
}
