import { Readable } from 'node:stream';
import type { RemotePart } from '../../format/remote-index.ts';
import { fieldOf, type HttpBody, readBody, readExactly } from '../http/exchange.ts';
import { checkRange } from '../http/ranges.ts';
import { sha256Hex } from '../shared/digest.ts';
import { corrupt, garbage } from '../shared/faults.ts';
import { type Descriptor, IMAGE_MANIFEST_TYPE, MAX_IMAGE_MANIFEST_SIZE, partOfBytes } from './artifact.ts';
import type { RegistryClient } from './registry-client.ts';

/** All that a tag may lead to; a registry hides what is not asked for. */
const MANIFEST_TYPES = [
  IMAGE_MANIFEST_TYPE,
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ');

/** A manifest as a registry has it. */
export interface FoundManifest extends Descriptor {
  readonly bytes: Buffer;
}

/** The blobs and manifests of one repository of a registry (OCI distribution specification 1.1). */
export class Repository {
  /** Names it in messages. */
  readonly #location: string;
  readonly #client: RegistryClient;

  constructor(client: RegistryClient, location: string) {
    this.#client = client;
    this.#location = location;
  }

  /**
   * Reads a manifest; undefined when there is none.
   * @param reference a tag or a digest
   * @throws CkptfsError `damaged` when one that was asked for by its digest is another one
   */
  manifest(reference: string): Promise<FoundManifest | undefined> {
    const request = {
      method: 'GET',
      path: `manifests/${reference}`,
      headers: { accept: MANIFEST_TYPES },
      expected: [200, 404],
    } as const;
    return this.#client.ask(request, async (answer) => {
      if (answer.status === 404) return undefined;
      const bytes = await readBody(this.#location, answer, MAX_IMAGE_MANIFEST_SIZE);
      const digest = `sha256:${sha256Hex(bytes)}`;
      if (reference.startsWith('sha256:') && reference !== digest)
        throw corrupt(this.#location, 'the manifest has other bytes than its digest says');
      const mediaType = fieldOf(answer, 'content-type') ?? IMAGE_MANIFEST_TYPE;
      return { bytes, digest, mediaType, size: bytes.length };
    });
  }

  /**
   * Puts a manifest under a tag.
   * @returns what the registry says of the subject of the manifest, if it lists what belongs to that
   */
  putManifest(tag: string, manifest: Buffer): Promise<string | undefined> {
    return this.#client.ask(
      {
        method: 'PUT',
        path: `manifests/${tag}`,
        headers: { 'content-type': IMAGE_MANIFEST_TYPE },
        body: bodyOf(manifest),
        expected: [200, 201, 202],
      },
      async (answer) => fieldOf(answer, 'oci-subject'),
      manifest.length,
    );
  }

  removeManifest(digest: string): Promise<void> {
    return this.#client.ask(
      { method: 'DELETE', path: `manifests/${digest}`, expected: [200, 202, 404] },
      async () => undefined,
    );
  }

  /** Tells whether a blob is there with its size. */
  async hasBlob({ digest, size }: RemotePart): Promise<boolean> {
    return this.#client.ask(
      { method: 'HEAD', path: `blobs/sha256:${digest}`, expected: [200, 404] },
      async (answer) => {
        const length = fieldOf(answer, 'content-length');
        return answer.status === 200 && (length === undefined || Number(length) === size);
      },
    );
  }

  /**
   * Fetches a range of a blob, and goes on where an answer was cut.
   * @throws CkptfsError `damaged` when it is missing
   */
  async getRange(
    { digest, size }: RemotePart,
    start: number,
    end: number,
    sink: (chunk: Buffer) => void,
  ): Promise<void> {
    let at = start;
    await this.#client.persist(0, async (signal, received) => {
      const isWhole = at === 0 && end === size;
      const headers: Record<string, string> = isWhole ? {} : { range: `bytes=${at}-${end - 1}` };
      const request = { method: 'GET', path: `blobs/sha256:${digest}`, headers, expected: [200, 206, 404] } as const;
      await this.#client.once(request, signal, async (answer) => {
        if (answer.status === 404) throw corrupt(this.#location, `the part ${digest} is missing`);
        checkRange(this.#location, answer, at, end);
        await readExactly(this.#location, answer, end - at, (chunk) => {
          at += chunk.length;
          received(chunk.length);
          sink(chunk);
        });
      });
    });
  }

  /** Fetches a whole blob, a small one. @throws CkptfsError `damaged` when it has other bytes than its digest says */
  async blob(part: RemotePart): Promise<Buffer> {
    const chunks: Buffer[] = [];
    await this.getRange(part, 0, part.size, (chunk) => chunks.push(Buffer.from(chunk)));
    const bytes = Buffer.concat(chunks);
    if (sha256Hex(bytes) !== part.digest)
      throw corrupt(this.#location, 'the config of a manifest has other bytes than its digest says');
    return bytes;
  }

  /** Stores a blob unless it is there. */
  async putBlob(bytes: Buffer): Promise<void> {
    const part = partOfBytes(bytes);
    if (!(await this.hasBlob(part))) await this.upload(part.digest, bodyOf(bytes));
  }

  /** Sends bytes in one piece: a registry forgets an upload in several pieces that was cut. */
  async upload(digest: string, body: HttpBody): Promise<void> {
    await this.#client.persist(body.size, async (signal) => {
      const begin = { method: 'POST', path: 'blobs/uploads/', expected: [202] } as const;
      const place = await this.#client.once(begin, signal, async (answer) => fieldOf(answer, 'location'));
      if (place === undefined) throw garbage(this.#location, 'the registry names no place for an upload');
      const url = this.#client.resolve(place, this.#client.base);
      url.searchParams.set('digest', `sha256:${digest}`);
      const headers = { 'content-type': 'application/octet-stream' };
      await this.#client.once(
        { method: 'PUT', path: url, headers, body, expected: [201, 204] },
        signal,
        async () => undefined,
      );
    });
  }
}

function bodyOf(bytes: Buffer): HttpBody {
  return { size: bytes.length, open: () => Readable.from([bytes]) };
}
