import type { Readable } from 'node:stream';
import { MalformedError } from '../../base/bytes.ts';
import { CkptfsError } from '../../base/errors.ts';
import { parseRemoteIndex, type RemoteIndex, type RemotePart } from '../../format/remote-index.ts';
import { corrupt, unavailable } from '../shared/faults.ts';
import { type OciAddress, remoteUrl } from '../shared/remote-address.ts';
import type { RemoteStore } from '../shared/remote-store.ts';
import { type Descriptor, MAX_IMAGE_MANIFEST_SIZE } from './artifact.ts';
import { encodeImageManifest, type ImageManifest, parseImageManifest } from './image-manifest.ts';
import { encodeProfileManifest, parseProfileManifest, profileTag } from './profile-manifest.ts';
import type { RegistryClient } from './registry-client.ts';
import { type FoundManifest, Repository } from './repository.ts';

/** An image under a tag of a repository (docs/remote.md, Layout). */
export class OciStore implements RemoteStore {
  readonly location: string;
  readonly #repository: Repository;
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
    this.#repository = new Repository(client, this.location);
    this.#address = address;
    this.#subject = subject;
    this.#onWarning = onWarning;
  }

  async readIndex(): Promise<RemoteIndex | undefined> {
    const found = await this.#repository.manifest(this.#reference);
    if (found === undefined) return undefined;
    const { config, data } = this.imageOf(found);
    this.#image = descriptorIn(found);
    const bytes = data ?? (await this.#repository.blob(config));
    return this.#parsed('index', () => parseRemoteIndex(bytes));
  }

  async readProfile(): Promise<Buffer | undefined> {
    const image = await this.#currentImage();
    const found = image && (await this.#repository.manifest(profileTag(image.digest)));
    if (found === undefined) return undefined;
    const { config, data } = this.#parsed('profile', () => parseProfileManifest(found.bytes, image?.digest ?? ''));
    return data ?? this.#repository.blob(config);
  }

  async writeProfile(bytes: Buffer): Promise<void> {
    const image = await this.#currentImage();
    if (image === undefined) throw unavailable(this.location, 'absent', 'there is no image');
    await this.#repository.putBlob(bytes);
    await this.#repository.putManifest(profileTag(image.digest), encodeProfileManifest(bytes, image));
  }

  /** Reads what its manifest says of the image under a tag; undefined for something else. */
  async describe(tag: string): Promise<ImageManifest | undefined> {
    const found = await this.#repository.manifest(tag);
    try {
      return found && parseImageManifest(found.bytes);
    } catch (error) {
      if (error instanceof MalformedError) return undefined;
      throw error;
    }
  }

  hasPart(part: RemotePart): Promise<boolean> {
    return this.#repository.hasBlob(part);
  }

  putPart({ digest, size }: RemotePart, open: () => Readable): Promise<void> {
    return this.#repository.upload(digest, { size, open });
  }

  getRange(part: RemotePart, start: number, end: number, sink: (chunk: Buffer) => void): Promise<void> {
    return this.#repository.getRange(part, start, end, sink);
  }

  async publish(index: RemoteIndex, encoded: Buffer): Promise<void> {
    const { tag } = this.#address;
    if (tag === undefined) throw new CkptfsError('bad-argument', `${this.location}: a tag is needed to push`);
    const subject = this.#subject === undefined ? undefined : await this.#subjectDescriptor(this.#subject);
    const manifest = encodeImageManifest(index, encoded, tag, subject);
    if (manifest.length > MAX_IMAGE_MANIFEST_SIZE)
      throw new CkptfsError('bad-argument', `${this.location}: the image has too many objects for a registry`);
    await this.#repository.putBlob(encoded);
    const linked = await this.#repository.putManifest(tag, manifest);
    this.#image = undefined;
    if (subject !== undefined && linked === undefined)
      this.#onWarning(
        `${this.location}: the registry does not list what belongs to an image; the image says so itself`,
      );
  }

  async remove(): Promise<boolean> {
    const found = await this.#repository.manifest(this.#reference);
    if (found === undefined) return false;
    this.imageOf(found);
    await this.#repository.removeManifest(found.digest);
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

  async #subjectDescriptor(reference: string): Promise<Descriptor> {
    const found = await this.#repository.manifest(reference);
    if (found === undefined)
      throw unavailable(this.location, 'absent', `there is no ${reference} that it could belong to`);
    return descriptorIn(found);
  }

  async #currentImage(): Promise<Descriptor | undefined> {
    if (this.#image !== undefined) return this.#image;
    const found = await this.#repository.manifest(this.#reference);
    if (found === undefined) return undefined;
    this.imageOf(found);
    return descriptorIn(found);
  }

  /** Removes the access profile of an image, and nothing else that may be under its tag. */
  async #removeProfile(image: string): Promise<void> {
    const found = await this.#repository.manifest(profileTag(image));
    if (found === undefined) return;
    try {
      parseProfileManifest(found.bytes, image);
    } catch (error) {
      if (error instanceof MalformedError) return;
      throw error;
    }
    await this.#repository.removeManifest(found.digest);
  }
}

function descriptorIn({ mediaType, digest, size }: FoundManifest): Descriptor {
  return { mediaType, digest, size };
}
