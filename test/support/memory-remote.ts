import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { CkptfsError } from '../../src/base/errors.ts';
import { parseRemoteIndex, type RemoteIndex, type RemotePart } from '../../src/format/remote-index.ts';
import type { RemoteStore } from '../../src/remote/shared/remote-store.ts';

/** A remote store that keeps what it is given, and can be told to fail at any call. */
export class MemoryRemote implements RemoteStore {
  readonly location = 's3://memory/image';
  index: Buffer | undefined;
  profile: Buffer | undefined;
  readonly parts = new Map<string, Buffer>();
  /** Digests of the parts that were stored, and of those that were fetched, in order. */
  readonly stored: string[] = [];
  readonly fetched: string[] = [];
  /** Calls that are answered; the next one fails. */
  left = Number.POSITIVE_INFINITY;

  async readIndex(): Promise<RemoteIndex | undefined> {
    this.#count();
    return this.index && parseRemoteIndex(this.index);
  }

  async hasPart({ digest, size }: RemotePart): Promise<boolean> {
    this.#count();
    return this.parts.get(digest)?.length === size;
  }

  async putPart({ digest }: RemotePart, open: () => Readable): Promise<void> {
    this.#count();
    const bytes = Buffer.concat(await open().toArray());
    const isRight = createHash('sha256').update(bytes).digest('hex') === digest;
    if (!isRight) throw new CkptfsError('source-changed', 'other bytes');
    this.parts.set(digest, bytes);
    this.stored.push(digest);
  }

  /** Gives half of the range before it fails. */
  async getRange({ digest }: RemotePart, start: number, end: number, sink: (chunk: Buffer) => void): Promise<void> {
    const bytes = this.parts.get(digest)?.subarray(start, end);
    if (bytes === undefined) throw new CkptfsError('damaged', `the part ${digest} is missing`);
    const middle = Math.floor(bytes.length / 2);
    sink(bytes.subarray(0, middle));
    this.#count();
    sink(bytes.subarray(middle));
    this.fetched.push(digest);
  }

  async publish(_index: RemoteIndex, encoded: Buffer): Promise<void> {
    this.#count();
    this.index = encoded;
  }

  async readProfile(): Promise<Buffer | undefined> {
    this.#count();
    return this.profile;
  }

  async writeProfile(bytes: Buffer): Promise<void> {
    this.#count();
    this.profile = bytes;
  }

  async remove(): Promise<boolean> {
    const wasThere = this.index !== undefined;
    this.index = undefined;
    this.profile = undefined;
    this.parts.clear();
    return wasThere;
  }

  #count(): void {
    if (--this.left < 0)
      throw new CkptfsError('store-unavailable', `${this.location}: no answer`, { data: { reason: 'timeout' } });
  }
}
