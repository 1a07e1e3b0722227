import { Readable } from 'node:stream';
import { MalformedError } from '../../base/bytes.ts';
import { CkptfsError } from '../../base/errors.ts';
import { MAX_PROFILE_SIZE } from '../../format/access-profile.ts';
import { MAX_INDEX_SIZE, parseRemoteIndex, type RemoteIndex, type RemotePart } from '../../format/remote-index.ts';
import { fieldOf, readBody, readExactly } from '../http/exchange.ts';
import { checkRange } from '../http/ranges.ts';
import { sha256Hex } from '../shared/digest.ts';
import { eachOf } from '../shared/each-of.ts';
import { corrupt, garbage } from '../shared/faults.ts';
import { remoteUrl, type S3Address } from '../shared/remote-address.ts';
import type { RemoteStore } from '../shared/remote-store.ts';
import { parsePage, type S3Page } from './listing.ts';
import type { S3Client } from './s3-client.ts';

export const INDEX_NAME = 'ckptfs-image.json';
const PROFILE_NAME = 'ckptfs-profile.json';
const PARTS = 'parts/sha256';
const MAX_PAGE_BYTES = 8_388_608;
/** The pages of all parts that are removed: an index has no more. */
const MAX_PAGES = 1024;
/** Removals at a time. */
const REMOVALS = 8;

/** An image below a prefix of a bucket (docs/remote.md, Layout). */
export class S3Store implements RemoteStore {
  readonly location: string;
  readonly #client: S3Client;
  /** What keys begin with: empty, or with a slash at its end. */
  readonly #root: string;

  constructor(client: S3Client, address: S3Address) {
    this.location = remoteUrl(address);
    this.#client = client;
    this.#root = address.prefix === '' ? '' : `${address.prefix}/`;
  }

  async readIndex(): Promise<RemoteIndex | undefined> {
    const bytes = await this.#client.ask(
      { method: 'GET', key: this.#root + INDEX_NAME, expected: [200, 404] },
      async (answer, received) => {
        if (answer.status === 200) return readBody(this.location, answer, MAX_INDEX_SIZE, received);
        const text = (await readBody(this.location, answer, MAX_PAGE_BYTES)).toString('latin1');
        if (!text.includes('NoSuchBucket')) return undefined;
        throw new CkptfsError('store-unavailable', `${this.location}: there is no such bucket`, {
          data: { reason: 'absent' },
        });
      },
    );
    if (bytes === undefined) return undefined;
    try {
      return parseRemoteIndex(bytes);
    } catch (cause) {
      if (!(cause instanceof MalformedError)) throw cause;
      throw new CkptfsError('not-an-image', `${this.location}: ${INDEX_NAME} is not an index: ${cause.message}`, {
        data: { reason: 'other-header' },
        cause,
      });
    }
  }

  hasPart({ digest, size }: RemotePart): Promise<boolean> {
    // A server that does not let this user list the bucket answers 403 for what is not there.
    return this.#client.ask(
      { method: 'HEAD', key: this.#partKey(digest), expected: [200, 404, 403] },
      async (answer) => answer.status === 200 && Number(fieldOf(answer, 'content-length')) === size,
    );
  }

  putPart({ digest, size }: RemotePart, open: () => Readable): Promise<void> {
    return this.#put(this.#partKey(digest), { size, sha256: digest, open });
  }

  async getRange({ digest }: RemotePart, start: number, end: number, sink: (chunk: Buffer) => void): Promise<void> {
    let at = start;
    await this.#client.ask(
      {
        method: 'GET',
        key: this.#partKey(digest),
        expected: [200, 206, 404],
        get headers() {
          return { range: `bytes=${at}-${end - 1}` };
        },
      },
      async (answer, received) => {
        if (answer.status === 404) throw corrupt(this.location, `the part ${digest} is missing`);
        checkRange(this.location, answer, at, end);
        await readExactly(this.location, answer, end - at, (chunk) => {
          at += chunk.length;
          received(chunk.length);
          sink(chunk);
        });
      },
    );
  }

  publish(_index: RemoteIndex, encoded: Buffer): Promise<void> {
    return this.#putBytes(INDEX_NAME, encoded);
  }

  readProfile(): Promise<Buffer | undefined> {
    // As for a part: 403 may be what is not there.
    return this.#client.ask(
      { method: 'GET', key: this.#root + PROFILE_NAME, expected: [200, 404, 403] },
      async (answer, received) =>
        answer.status === 200 ? readBody(this.location, answer, MAX_PROFILE_SIZE, received) : undefined,
    );
  }

  writeProfile(bytes: Buffer): Promise<void> {
    return this.#putBytes(PROFILE_NAME, bytes);
  }

  async remove(): Promise<boolean> {
    // Who may not look would remove the index, and then could not list the parts: nothing is removed then.
    const isThere = await this.#client.ask(
      { method: 'HEAD', key: this.#root + INDEX_NAME, expected: [200, 404] },
      async ({ status }) => status === 200,
    );
    await this.#delete(this.#root + INDEX_NAME);
    await this.#delete(this.#root + PROFILE_NAME);
    let isLeft = true;
    for (let page = 0; isLeft; page++) {
      if (page === MAX_PAGES) throw garbage(this.location, 'the server lists without end what it was told to remove');
      // From the beginning each time, as what was listed is gone.
      const { keys, next } = await this.list(this.#partKey(''));
      // What a server lists that is no part of this image is not removed in its name.
      const parts = keys.filter(
        (key) => /^[0-9a-f]{64}$/.test(key.slice(-64)) && key === this.#partKey(key.slice(-64)),
      );
      await eachOf(parts, REMOVALS, (key) => this.#delete(key));
      isLeft = next !== undefined && parts.length > 0;
    }
    return isThere;
  }

  /** Lists keys below one, a page at a time. @param delimiter ends names, in place of all that is below them */
  list(prefix: string, { after, delimiter }: { after?: string; delimiter?: string } = {}): Promise<S3Page> {
    const query = {
      'list-type': '2',
      'encoding-type': 'url',
      prefix,
      ...(after === undefined ? {} : { 'continuation-token': after }),
      ...(delimiter === undefined ? {} : { delimiter }),
    };
    return this.#client.ask({ method: 'GET', key: '', query, expected: [200] }, async (answer) =>
      parsePage(this.location, (await readBody(this.location, answer, MAX_PAGE_BYTES)).toString('utf8')),
    );
  }

  #partKey(digest: string): string {
    return `${this.#root}${PARTS}/${digest}`;
  }

  #putBytes(name: string, bytes: Buffer): Promise<void> {
    const open = (): Readable => Readable.from([bytes]);
    return this.#put(this.#root + name, { size: bytes.length, sha256: sha256Hex(bytes), open });
  }

  #put(key: string, body: { size: number; sha256: string; open: () => Readable }): Promise<void> {
    return this.#client.ask({ method: 'PUT', key, body, expected: [200, 201, 204] }, async () => undefined);
  }

  #delete(key: string): Promise<void> {
    return this.#client.ask({ method: 'DELETE', key, expected: [200, 204, 404] }, async () => undefined);
  }
}
