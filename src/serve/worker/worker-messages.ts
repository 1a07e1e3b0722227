import { Counters } from '../../base/counters.ts';
import type { PlainError } from '../../base/errors.ts';
import type { Time } from '../../format/time.ts';
import { counterSlots } from '../../fuse/protocol/counters.ts';
import type { StorePlace } from '../../stores/store.ts';
import type { Level } from '../mounts/log.ts';

/** What a serving thread is started with. */
export interface WorkerSetup {
  readonly store: StorePlace;
  /** Let it be changed; only one worker. */
  readonly write: boolean;
  /** Of Secret.shared. */
  readonly imageKey: SharedArrayBuffer;
  /** Bytes, of this worker. */
  readonly cacheSize: number;
  readonly rootMode: number | undefined;
  readonly onlyUid: number | undefined;
  readonly memory: WorkerMemory;
}

/** Memory that the worker shares: counters that it writes and others may read at any time, and whose turn it is. */
export interface WorkerMemory {
  readonly image: SharedArrayBuffer;
  readonly connection: SharedArrayBuffer;
  /** Of {@link PollingToken}, the same for all workers of a mount. */
  readonly turn: SharedArrayBuffer;
}

export function workerMemory(turn: SharedArrayBuffer): WorkerMemory {
  return {
    turn,
    image: new SharedArrayBuffer(Counters.byteLength),
    connection: new SharedArrayBuffer(counterSlots * Float64Array.BYTES_PER_ELEMENT),
  };
}

/** What a serving thread tells. */
export type WorkerMessage =
  | { readonly kind: 'ready'; readonly image: OpenedImage }
  | { readonly kind: 'failed'; readonly error: PlainError }
  | { readonly kind: 'log'; readonly level: Level; readonly text: string }
  | { readonly kind: 'refused'; readonly text: string }
  /** Of a writer, when it serves no more; the last two after that, with the outcome. */
  | { readonly kind: 'sealing' }
  | { readonly kind: 'sealed' }
  | { readonly kind: 'unsealed'; readonly error: PlainError }
  /** The last: all is wiped, and there is nothing left to do. The thread stays, see {@link exitNow}. */
  | { readonly kind: 'ended' };

/** What the rest of the daemon must know of an image that opened. */
export interface OpenedImage {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  readonly root: RootAttributes;
}

export interface RootAttributes {
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly atime: Time;
  readonly mtime: Time;
}

/**
 * What a serving thread is sent: to open the image (one thread, before the others), and then, once, to serve the open /dev/fuse or to
 * end without.
 */
export type WorkerOrder =
  | { readonly kind: 'open' }
  | { readonly kind: 'serve'; readonly fd: number }
  | { readonly kind: 'end' };
