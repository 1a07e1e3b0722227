import { Counters } from '../../base/counters.ts';
import type { PlainError } from '../../base/errors.ts';
import type { Time } from '../../base/time.ts';
import type { SharedTree } from '../../criu/tree/criu-tree.ts';
import type { AheadMemory } from '../../fs/ahead/layout.ts';
import type { PageFiles } from '../../fs/direct-opens.ts';
import { COUNTER_SLOTS } from '../../fuse/protocol/counters.ts';
import type { RingPlan } from '../../fuse/uring/serve-rings.ts';
import type { EphemeralImage } from '../../image/writable/open-ephemeral.ts';
import type { StorePlace } from '../../stores/store.ts';
import { ThreadWipe } from './key-lock.ts';
import { WaitingLines } from './waiting-lines.ts';

/** What the daemon's first thread starts a serving thread with. */
export interface ThreadSetup {
  readonly store: StorePlace;
  /** Set for an image in a remote store. */
  readonly remote: RemoteDescriptors | undefined;
  /** Which of the threads of the mount it is, from 0. */
  readonly number: number;
  /** Whether it is a directory that CRIU encrypted, and not an image of ours. */
  readonly isCriu: boolean;
  /** Lets the image be changed. A writable mount has one serving thread. */
  readonly write: boolean;
  /** With `write`: the image is new, and gone with the mount. */
  readonly ephemeral: EphemeralImage | undefined;
  /** The memory of a shared Secret: the image key, or the secrets of a directory that CRIU encrypted. */
  readonly imageKey: SharedArrayBuffer;
  /** The memory of a KeyLock, the same for all threads of a mount. */
  readonly keyLock: SharedArrayBuffer;
  /** In bytes, of this thread. */
  readonly cacheSize: number;
  readonly pageFiles: PageFiles;
  /** Where threads of the mount read ahead, the same for all; undefined where they do not. */
  readonly ahead: AheadMemory | undefined;
  readonly rootMode: number | undefined;
  /** SHA-256 of the manifest that has to be there, where its signature was verified. */
  readonly manifestDigest: Uint8Array | undefined;
  readonly onlyUid: number | undefined;
  /** Undefined where io_uring is not to be used. A mount fails that cannot be served over it where it is required. */
  readonly rings: (RingPlan & { readonly isRequired: boolean }) | undefined;
  readonly memory: ThreadMemory;
}

/** What is the same for all threads of a mount. */
export type CommonSetup = Omit<ThreadSetup, 'memory' | 'number'>;

/** What the threads of a mount read an image in a remote store by: descriptors that stay open, see `LazyPlace`. */
export interface RemoteDescriptors {
  readonly stub: number;
  readonly blocks: number;
  /** One for each thread. */
  readonly connections: readonly number[];
}

/** Memory that a serving thread shares: its own counters, which others may read at any time, and the polling token. */
export interface ThreadMemory {
  readonly image: SharedArrayBuffer;
  readonly connection: SharedArrayBuffer;
  /** The memory of a {@link PollingToken}, the same for all threads of a mount. */
  readonly token: SharedArrayBuffer;
  /** The memory of {@link WaitingLines}. */
  readonly lines: SharedArrayBuffer;
  /** The memory of {@link ThreadWipe}. */
  readonly wipe: SharedArrayBuffer;
}

/** @param token shared by all threads of the mount */
export function threadMemory(token: SharedArrayBuffer): ThreadMemory {
  return {
    token,
    lines: new SharedArrayBuffer(WaitingLines.byteLength),
    wipe: new SharedArrayBuffer(ThreadWipe.byteLength),
    image: new SharedArrayBuffer(Counters.byteLength),
    connection: new SharedArrayBuffer(COUNTER_SLOTS * Float64Array.BYTES_PER_ELEMENT),
  };
}

export type LogLevel = 'info' | 'warning' | 'error';

/** How far the writer has got with sealing. */
export type SealMessage =
  /** No request is served any more. One of the other two follows. */
  | { readonly kind: 'sealing' }
  | { readonly kind: 'sealed' }
  | { readonly kind: 'unsealed'; readonly error: PlainError };

export interface LogLine {
  readonly kind: 'log';
  readonly level: LogLevel;
  readonly text: string;
}

/** What a serving thread sends. */
export type ThreadMessage =
  /** It has opened the image, or could not. */
  | { readonly kind: 'ready'; readonly image: OpenedImage }
  | { readonly kind: 'failed'; readonly error: PlainError }
  | LogLine
  /** The kernel's first request, FUSE_INIT, succeeded and is about to be answered. */
  | { readonly kind: 'initialized'; readonly overRing: boolean }
  /** It has taken memory for blocks that are read ahead, which is to be given back when they are not used. */
  | { readonly kind: 'reads-ahead' }
  /** FUSE_INIT was refused. */
  | { readonly kind: 'refused'; readonly text: string }
  /** The mount is served by the device although io_uring was to be used. Comes before `initialized`. */
  | { readonly kind: 'no-rings'; readonly why: string }
  /** The queues of this thread are not served any more, although the mount is there. The log says why. */
  | { readonly kind: 'broken' }
  | SealMessage
  /** The last message: everything is wiped, and nothing is left to do. The thread itself stays, see `exitNow`. */
  | { readonly kind: 'ended' };

/** What a thread that has opened an image hands on to those that open it after it. */
export interface KnownImage {
  /** See `openImage`; undefined for an image that is written, which one thread alone opens. */
  readonly manifestDigest: Uint8Array | undefined;
  /** What was decrypted of a directory that CRIU encrypted, and where the rest is. */
  readonly shared?: SharedTree | undefined;
  /** What the caller is to be told of it: that some of it was not encrypted. */
  readonly warnings?: readonly string[] | undefined;
}

/** What the daemon's first thread has to know of an image that was opened. */
export interface OpenedImage extends KnownImage {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  readonly root: RootAttributes;
  /** The number of inodes of an image that is only read. */
  readonly inodes: number;
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
 * What a serving thread is sent: to open the image (one thread, before the others), and later, once, either to serve
 * the open /dev/fuse `fd` or to end without having served. `known` is from another thread that has opened the image, if
 * one has.
 */
export type ThreadOrder =
  | { readonly kind: 'open'; readonly known: KnownImage | undefined }
  | { readonly kind: 'serve'; readonly fd: number; readonly known: KnownImage | undefined }
  | { readonly kind: 'end' };
