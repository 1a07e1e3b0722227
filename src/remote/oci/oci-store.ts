import { Readable } from 'node:stream';
import { MalformedError } from '../../base/bytes.ts';
import { CkptfsError } from '../../base/errors.ts';
import { parseRemoteIndex, type RemoteIndex, type RemotePart } from '../../format/remote-index.ts';
import { fieldOf, type HttpBody, readBody, readExactly } from '../http/exchange.ts';
import { checkRange } from '../http/ranges.ts';
import { sha256Hex } from '../shared/digest.ts';
import { corrupt, garbage, unavailable } from '../shared/faults.ts';
import { type OciAddress, remoteUrl } from '../shared/remote-address.ts';
import type { RemoteStore } from '../shared/remote-store.ts';
import { type Descriptor, IMAGE_MANIFEST_TYPE, MAX_IMAGE_MANIFEST_SIZE, partOfBytes } from './artifact.ts';
import { encodeImageManifest, type ImageManifest, parseImageManifest } from './image-manifest.ts';
import { encodeProfileManifest, parseProfileManifest, profileTag } from './profile-manifest.ts';
import type { RegistryClient } from './registry-client.ts';

/** All that a tag may lead to; a registry hides what is not asked for. */
const MANIFEST_TYPES = [
  IMAGE_MANIFEST_TYPE,
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ');

/** A manifest as a registry has it. */
interface FoundManifest extends Descriptor {
  readonly bytes: Buffer;
}

/** An image under a tag of a repository (docs/remote.md, Layout). */
export class OciStore implements RemoteStore {
  readonly location: string;
  readonly #client: RegistryClient;
  readonly #address: OciAddress;
  /** What the image belongs to: a tag or a digest in the same repository. */
  readonly #subject: string | undefined;
  readonly #onWarning: (text: string) => void;
  /** The manifest of the image whose index was read last. */
  #image: Descriptor | undefined;

  constructor(
    client: RegistryClient,
    address: OciAddress,
    { subject, onWarning = () => undefined }: { subject?: string | undefined; onWarning?: (text: string) => void } = {},
  ) {
    this.location = remoteUrl(address);
    this.#client = client;
    this.#address = address;
    this.#subject = subject;
    this.#onWarning = onWarning;
  }

  async readIndex(): Promise<RemoteIndex | undefined> {
    const found = await this.#manifest(this.#reference);
    if (found === undefined) return undefined;
    const { config, data } = this.imageOf(found);
    this.#image = descriptorIn(found);
    const bytes = data ?? (await this.#blob(config));
    return this.#parsed('index', () => parseRemoteIndex(bytes));
  }

  async readProfile(): Promise<Buffer | undefined> {
    const image = await this.#currentImage();
    const found = image && (await this.#manifest(profileTag(image.digest)));
    if (found === undefined) return undefined;
    const { config, data } = this.#parsed('profile', () => parseProfileManifest(found.bytes, image?.digest ?? ''));
    return data ?? this.#blob(config);
  }

  async writeProfile(bytes: Buffer): Promise<void> {
    const image = await this.#currentImage();
    if (image === undefined) throw unavailable(this.location, 'absent', 'there is no image');
    await this.#putBlob(bytes);
    await this.#putManifest(profileTag(image.digest), encodeProfileManifest(bytes, image));
  }

  /** Reads what its manifest says of the image under a tag; undefined for something else. */
  async describe(tag: string): Promise<ImageManifest | undefined> {
    const found = await this.#manifest(tag);
    try {
      return found && parseImageManifest(found.bytes);
    } catch (error) {
      if (error instanceof MalformedError) return undefined;
      throw error;
    }
  }

  async hasPart({ digest, size }: RemotePart): Promise<boolean> {
    return this.#client.ask(
      { method: 'HEAD', path: `blobs/sha256:${digest}`, expected: [200, 404] },
      async (answer) => {
        const length = fieldOf(answer, 'content-length');
        return answer.status === 200 && (length === undefined || Number(length) === size);
      },
    );
  }

  putPart({ digest, size }: RemotePart, open: () => Readable): Promise<void> {
    return this.#upload(digest, { size, open });
  }

  async getRange(
    { digest, size }: RemotePart,
    start: number,
    end: number,
    sink: (chunk: Buffer) => void,
  ): Promise<void> {
    let at = start;
    await this.#client.persist(end - start, async (signal) => {
      const isWhole = at === 0 && end === size;
      const headers: Record<string, string> = isWhole ? {} : { range: `bytes=${at}-${end - 1}` };
      const request = { method: 'GET', path: `blobs/sha256:${digest}`, headers, expected: [200, 206, 404] } as const;
      await this.#client.once(request, signal, async (answer) => {
        if (answer.status === 404) throw corrupt(this.location, `the part ${digest} is missing`);
        checkRange(this.location, answer, at, end);
        await readExactly(this.location, answer, end - at, (chunk) => {
          at += chunk.length;
          sink(chunk);
        });
      });
    });
  }

  async publish(index: RemoteIndex, encoded: Buffer): Promise<void> {
    const { tag } = this.#address;
    if (tag === undefined) throw new CkptfsError('bad-argument', `${this.location}: a tag is needed to push`);
    const subject = this.#subject === undefined ? undefined : await this.#subjectDescriptor(this.#subject);
    const manifest = encodeImageManifest(index, encoded, tag, subject);
    if (manifest.length > MAX_IMAGE_MANIFEST_SIZE)
      throw new CkptfsError('bad-argument', `${this.location}: the image has too many objects for a registry`);
    await this.#putBlob(encoded);
    const linked = await this.#putManifest(tag, manifest);
    this.#image = undefined;
    if (subject !== undefined && linked === undefined)
      this.#onWarning(
        `${this.location}: the registry does not list what belongs to an image; the image says so itself`,
      );
  }

  async remove(): Promise<boolean> {
    const found = await this.#manifest(this.#reference);
    if (found === undefined) return false;
    this.imageOf(found);
    await this.#removeManifest(found.digest);
    this.#image = undefined;
    await this.#removeProfile(found.digest);
    return true;
  }

  /** @throws CkptfsError `not-an-image`, `damaged` */
  imageOf({ bytes }: FoundManifest): ImageManifest {
    const image = this.#parsed('index', () => parseImageManifest(bytes));
    if (image !== undefined) return image;
    throw new CkptfsError('not-an-image', `${this.location}: there is something else, no image of ckptfs`, {
      data: { reason: 'other-header' },
    });
  }

  get #reference(): string {
    const { digest, tag } = this.#address;
    const reference = digest ?? tag;
    if (reference === undefined) throw new CkptfsError('bad-argument', `${this.location}: no tag is named`);
    return reference;
  }

  #parsed<T>(what: 'index' | 'profile', parse: () => T): T {
    try {
      return parse();
    } catch (cause) {
      if (cause instanceof MalformedError)
        throw corrupt(this.location, `the ${what} is not right: ${cause.message}`, cause);
      throw cause;
    }
  }

  /** @throws CkptfsError `damaged` when a manifest that was asked for by its digest is another one */
  #manifest(reference: string): Promise<FoundManifest | undefined> {
    const request = {
      method: 'GET',
      path: `manifests/${reference}`,
      headers: { accept: MANIFEST_TYPES },
      expected: [200, 404],
    } as const;
    return this.#client.ask(request, async (answer) => {
      if (answer.status === 404) return undefined;
      const bytes = await readBody(this.location, answer, MAX_IMAGE_MANIFEST_SIZE);
      const digest = `sha256:${sha256Hex(bytes)}`;
      if (reference.startsWith('sha256:') && reference !== digest)
        throw corrupt(this.location, 'the manifest has other bytes than its digest says');
      const mediaType = fieldOf(answer, 'content-type') ?? IMAGE_MANIFEST_TYPE;
      return { bytes, digest, mediaType, size: bytes.length };
    });
  }

  async #subjectDescriptor(reference: string): Promise<Descriptor> {
    const found = await this.#manifest(reference);
    if (found === undefined)
      throw unavailable(this.location, 'absent', `there is no ${reference} that it could belong to`);
    return descriptorIn(found);
  }

  async #currentImage(): Promise<Descriptor | undefined> {
    if (this.#image !== undefined) return this.#image;
    const found = await this.#manifest(this.#reference);
    if (found === undefined) return undefined;
    this.imageOf(found);
    return descriptorIn(found);
  }

  /** Removes the access profile of an image, and nothing else that may be under its tag. */
  async #removeProfile(image: string): Promise<void> {
    const found = await this.#manifest(profileTag(image));
    if (found === undefined) return;
    try {
      parseProfileManifest(found.bytes, image);
    } catch (error) {
      if (error instanceof MalformedError) return;
      throw error;
    }
    await this.#removeManifest(found.digest);
  }

  #removeManifest(digest: string): Promise<void> {
    return this.#client.ask(
      { method: 'DELETE', path: `manifests/${digest}`, expected: [200, 202, 404] },
      async () => undefined,
    );
  }

  /** @returns what the registry says of the subject of the manifest, if it lists what belongs to that */
  #putManifest(tag: string, manifest: Buffer): Promise<string | undefined> {
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

  async #blob(part: RemotePart): Promise<Buffer> {
    const chunks: Buffer[] = [];
    await this.getRange(part, 0, part.size, (chunk) => chunks.push(Buffer.from(chunk)));
    const bytes = Buffer.concat(chunks);
    if (sha256Hex(bytes) !== part.digest)
      throw corrupt(this.location, 'the config of a manifest has other bytes than its digest says');
    return bytes;
  }

  async #putBlob(bytes: Buffer): Promise<void> {
    const part = partOfBytes(bytes);
    if (!(await this.hasPart(part))) await this.#upload(part.digest, bodyOf(bytes));
  }

  /** Sends bytes in one piece: a registry forgets an upload in several pieces that was cut. */
  async #upload(digest: string, body: HttpBody): Promise<void> {
    await this.#client.persist(body.size, async (signal) => {
      const begin = { method: 'POST', path: 'blobs/uploads/', expected: [202] } as const;
      const place = await this.#client.once(begin, signal, async (answer) => fieldOf(answer, 'location'));
      if (place === undefined) throw garbage(this.location, 'the registry names no place for an upload');
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

function descriptorIn({ mediaType, digest, size }: FoundManifest): Descriptor {
  return { mediaType, digest, size };
}

function bodyOf(bytes: Buffer): HttpBody {
  return { size: bytes.length, open: () => Readable.from([bytes]) };
}
