import type { Readable } from 'node:stream';
import type { RemoteIndex, RemotePart } from '../../format/remote-index.ts';

/**
 * A place in a remote store where one image can be (docs/remote.md, Layout). It moves bytes, and believes none of them:
 * an index was parsed and no more, and a part is what its digest says once the caller has compared that.
 *
 * Every call asks servers within the bounds of the client that it was made with: it ends when the signal of that is
 * aborted (`interrupted`), and fails when the server does not answer in time or otherwise than it must
 * (`store-unavailable`).
 */
export interface RemoteStore {
  /** The address as the user wrote it, for messages. */
  readonly location: string;
  /**
   * Reads the index; undefined when there is none.
   * @throws CkptfsError `not-an-image` when there is something else, `damaged`
   */
  readIndex(): Promise<RemoteIndex | undefined>;
  /** Tells whether a part is there with its size. */
  hasPart(part: RemotePart): Promise<boolean>;
  /**
   * Stores a part, whose bytes the server compares with its digest.
   * @param open begins its bytes anew, for each attempt
   * @throws CkptfsError `source-changed` when the bytes have another digest
   */
  putPart(part: RemotePart, open: () => Readable): Promise<void>;
  /**
   * Fetches a range of a part, and goes on where an answer was cut.
   * @param start of the range in the part, bytes
   * @param end the byte after the range
   * @param sink is given all bytes of the range in order, and must not keep them
   * @throws CkptfsError `damaged` when the part is missing
   */
  getRange(part: RemotePart, start: number, end: number, sink: (chunk: Buffer) => void): Promise<void>;
  /** Puts an index in place, in one step, whose parts are all there. @param encoded its bytes */
  publish(index: RemoteIndex, encoded: Buffer): Promise<void>;
  /**
   * Reads the access profile of the image, which was not looked at; undefined when there is none.
   * @throws CkptfsError `damaged` when there is something else
   */
  readProfile(): Promise<Buffer | undefined>;
  /** Puts an access profile in place, or in the place of another; the image is there. @param bytes it, encoded */
  writeProfile(bytes: Buffer): Promise<void>;
  /**
   * Removes the image: its index, then its access profile and what else of it the store does not remove itself.
   * @returns whether it was there
   */
  remove(): Promise<boolean>;
}

/** An image in a remote store, as it is listed. Nothing of it is authenticated. */
export interface ListedRemoteImage {
  /** Its address. */
  readonly url: string;
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  readonly cipher: string;
  /** Bytes of all files. */
  readonly size: number;
  readonly objects: number;
}
