import fs from 'node:fs';
import { promisify } from 'node:util';
import { CkptfsError, systemErrorName } from '../../base/errors.ts';
import { receiveDescriptor, sendDescriptor } from '../../base/linux/passed-descriptors.ts';
import { isSocket, peerOf, socketPair } from '../../base/linux/sockets.ts';
import type { Secret } from '../../crypto/secret.ts';

/**
 * The way of the image key from the command that unlocked it to the daemon. A process that starts can be looked into by others of the same
 * user until it has forbidden that, descriptors included: they can be copied (pidfd_getfd(2)), and a pipe among them opened again by its
 * name below /proc. So the daemon makes a pair of sockets only when it is hardened, and sends one of them to the command, which is hardened
 * too. The command believes no other process, as the kernel tells who made a pair; nor another pair that its daemon's pid was once the
 * maker of, as none of those is of this kind.
 */
const KIND = 'packets';

/** In the daemon: makes the channel and sends its other end. @throws CkptfsError `internal` when whoever started it is gone */
export function offerKeyChannel(orders: number): number {
  const [ours, theirs] = socketPair(KIND);
  try {
    sendDescriptor(orders, theirs);
  } finally {
    fs.closeSync(theirs);
  }
  return ours;
}

/**
 * In the command, once the daemon has offered the channel: hands the key over, from its own memory to the kernel, without a copy.
 * @param daemon its pid
 * @throws CkptfsError `internal` when it is not the daemon that offers it
 */
export function handOverKey(orders: number, daemon: number, imageKey: Secret): void {
  const channel = receiveDescriptor(orders);
  if (channel === undefined) throw new CkptfsError('internal', 'the daemon offers no way to send the key');
  try {
    if (!isSocket(channel, KIND) || peerOf(channel).pid !== daemon) {
      throw new CkptfsError('internal', 'another process than the daemon asks for the key');
    }
    fs.writeSync(channel, imageKey.bytes);
  } catch (cause) {
    // A daemon that is gone says why by itself.
    if (!isGone(cause)) throw cause;
  } finally {
    fs.closeSync(channel);
  }
}

/** In the daemon: receives the key into its own memory, without a copy, and closes the channel. False when none comes any more. */
export async function receiveKey(channel: number, imageKey: Secret): Promise<boolean> {
  try {
    const { bytesRead } = await read(channel, imageKey.bytes, 0, imageKey.length, null);
    return bytesRead === imageKey.length;
  } catch (cause) {
    if (isGone(cause)) return false;
    throw cause;
  } finally {
    fs.closeSync(channel);
  }
}

const read = promisify(fs.read);

/** Returns whether the other end of a socket is closed. */
export function isGone(cause: unknown): boolean {
  const name = systemErrorName(cause);
  return name === 'EPIPE' || name === 'ECONNRESET';
}
