import { closeSync, read as readCallback, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { CkptfsError } from '../../base/errors.ts';
import { receiveDescriptor, sendDescriptor } from '../../base/linux/passed-descriptors.ts';
import { isSocket, peerOf, socketPair } from '../../base/linux/sockets.ts';
import type { Secret } from '../../crypto/secret.ts';
import { isPeerClosed } from './orders.ts';

/**
 * How the image key gets from the command that unlocked it to the daemon. Until a new process has forbidden it, other
 * processes of the same user can look into it, and copy its descriptors: pidfd_getfd(2) copies any, and a pipe can be
 * opened again by its name below /proc. So the daemon makes a pair of sockets only after it has hardened itself, and
 * sends one of them to the command, which is hardened too. The command asks the kernel which process made the pair, and
 * sends the key only to the daemon. The pairs that the daemon's pid had made earlier are streams; this one is not.
 */
const KIND = 'packets';

/** What opened an image. Has no secret. */
export interface KeyOrigin {
  /** The number of the key slot, from 1; undefined for a key that needed none. */
  readonly slot?: number | undefined;
  /** Where what opened it was from. */
  readonly source?: string | undefined;
  /** For how long a service lets the key be used, in seconds, and when it was fetched, since the host was started. */
  readonly leaseSeconds?: number | undefined;
  readonly fetchedAt?: number | undefined;
}

/** Text of a source may be a path. */
const MAX_ORIGIN_SIZE = 16_384;

/**
 * In the daemon: makes the channel and sends its other end.
 * @throws CkptfsError `internal` when the process that started it is gone
 */
export function offerKeyChannel(orders: number): number {
  const [ours, theirs] = socketPair(KIND);
  try {
    sendDescriptor(orders, theirs);
  } finally {
    closeSync(theirs);
  }
  return ours;
}

/**
 * In the command, once the daemon has offered the channel: hands the key over, from the command's own memory to the
 * kernel, without a copy. It is no error when the daemon is gone, as its reports say why.
 * @param daemon the pid of the daemon
 * @param origin is sent along with the key, for people
 * @throws CkptfsError `internal` when another process offers the channel, or none does
 */
export function handOverKey(orders: number, daemon: number, imageKey: Secret, origin?: KeyOrigin): void {
  const channel = receiveDescriptor(orders);
  if (channel === undefined) throw new CkptfsError('internal', 'the daemon sent no channel for the image key');
  try {
    if (!isSocket(channel, KIND) || peerOf(channel).pid !== daemon) {
      throw new CkptfsError('internal', "the channel for the image key is not the daemon's: no key was sent");
    }
    writeSync(channel, imageKey.bytes);
    const text = Buffer.from(JSON.stringify(origin ?? {}));
    if (text.length <= MAX_ORIGIN_SIZE) writeSync(channel, text);
  } catch (cause) {
    if (!isPeerClosed(cause)) throw cause;
  } finally {
    closeSync(channel);
  }
}

/**
 * In the daemon: receives the key into `imageKey`, without a copy, and closes the channel. Returns false when the
 * command ended without sending the key.
 * @param onOrigin is told what opened the image, if the command says it
 */
export async function receiveKey(
  channel: number,
  imageKey: Secret,
  onOrigin?: (origin: KeyOrigin) => void,
): Promise<boolean> {
  try {
    const { bytesRead } = await read(channel, imageKey.bytes, 0, imageKey.length, null);
    if (bytesRead === imageKey.length) onOrigin?.(await receiveOrigin(channel));
    return bytesRead === imageKey.length;
  } catch (cause) {
    if (isPeerClosed(cause)) return false;
    throw cause;
  } finally {
    closeSync(channel);
  }
}

async function receiveOrigin(channel: number): Promise<KeyOrigin> {
  const text = Buffer.alloc(MAX_ORIGIN_SIZE);
  const { bytesRead } = await read(channel, text, 0, text.length, null);
  return bytesRead === 0 ? {} : (JSON.parse(text.toString('utf8', 0, bytesRead)) as KeyOrigin);
}

const read = promisify(readCallback);
