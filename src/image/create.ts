import { randomBytes } from 'node:crypto';
import { relative, resolve } from 'node:path';
import { MalformedError } from '../base/bytes.ts';
import { CkptfsError } from '../base/errors.ts';
import { headerMac } from '../crypto/header-mac.ts';
import { deriveHeaderMacKey, deriveManifestKey } from '../crypto/image-keys.ts';
import { sealManifest } from '../crypto/manifest-aead.ts';
import { Secret } from '../crypto/secret.ts';
import { primitives } from '../crypto/select.ts';
import { type CipherName, defaultCipher } from '../format/ciphers.ts';
import { DEFAULT_CHUNK_SIZE, Geometry, isChunkSize } from '../format/geometry.ts';
import { authenticatedHeaderBytes, encodeHeader, MAX_SLOTS } from '../format/header.ts';
import { DIGEST_SIZE, ID_SIZE, type Manifest } from '../format/manifest.ts';
import { encodeManifest } from '../format/manifest-codec.ts';
import { encodeManifestEnvelope, MANIFEST_NONCE_SIZE, manifestAdditionalData } from '../format/manifest-envelope.ts';
import type { SlotJwe } from '../format/slot.ts';
import { LocalStoreWriter } from '../stores/local-store-writer.ts';
import type { StoreWriter } from '../stores/store.ts';
import { type Plan, planImage, segmentsInGroup } from './plan.ts';
import { checkUnchanged, scanSource } from './scan-source.ts';
import type { SealResult, SealTask } from './seal-worker.ts';
import { defaultJobs, runTasks } from './worker-pool.ts';

export interface CreateOptions {
  /** The directory to encrypt. It is only read. */
  readonly source: string;
  /** A directory that does not exist, or is empty. */
  readonly destination: string;
  /** Wraps the new image key, once for each recipient. Called before any byte is encrypted. */
  readonly makeSlots: (imageKey: Secret, imageId: Buffer) => Promise<readonly SlotJwe[]>;
  readonly cipher?: CipherName;
  /** Bytes; see {@link isChunkSize}. */
  readonly chunkSize?: number;
  /** Worker threads; one per core by default. */
  readonly jobs?: number;
  /** Leave sockets, FIFOs and devices out instead of refusing them. */
  readonly skipSpecial?: boolean;
  readonly onProgress?: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

export interface Progress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface CreatedImage {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  readonly files: number;
  readonly bytes: number;
  /** Paths left out because of `skipSpecial`. */
  readonly skipped: readonly string[];
}

/**
 * Encrypts a directory into a new image and makes it durable. Until it returns, what stands at the destination is an
 * unfinished image, which stays there when this fails.
 * @throws CkptfsError `exists`, `unsupported-source`, `source-changed`, `io`, `interrupted`, `bad-argument`
 */
export async function createImage(options: CreateOptions): Promise<CreatedImage> {
  const { source, destination, cipher = defaultCipher, chunkSize = DEFAULT_CHUNK_SIZE } = options;
  if (!isChunkSize(chunkSize)) {
    throw new CkptfsError('bad-argument', `chunk size ${chunkSize}: it is a power of two from 4096 to 65536`);
  }
  refuseInside(source, destination);
  const geometry = new Geometry(chunkSize);
  const tree = scanSource(source, options.skipSpecial ?? false);
  const plan = planImage(tree, geometry);
  const imageId = randomBytes(ID_SIZE);
  const imageKey = Secret.random(32);
  try {
    const store = LocalStoreWriter.create(destination);
    await writeHeader(store, options, imageKey, { imageId, cipher, chunkSize });
    const digests = await sealObjects(store, plan, options, imageKey, { imageId, cipher, geometry });
    checkUnchanged(tree);
    store.sync();
    const objects = plan.objects.map(({ id, chunks }, at) => ({ id, chunks, digests: digests[at] as Buffer }));
    const manifest: Manifest = { epoch: 1, objects, inodes: plan.inodes, entries: plan.entries };
    store.publish('manifest', sealedManifest(manifest, imageKey, { imageId, cipher, chunkSize }));
  } finally {
    imageKey.wipe();
  }
  const files = plan.inodes.filter((inode) => inode.type === 'file').length;
  return { imageId: imageId.toString('hex'), files, bytes: plan.totalBytes, skipped: tree.skipped };
}

/** An image within its own source would change what it is made of. */
function refuseInside(source: string, destination: string): void {
  const within = relative(resolve(source), resolve(destination));
  if (within !== '..' && !within.startsWith('../')) {
    throw new CkptfsError('bad-argument', `${destination} lies within ${source}`, {
      path: destination,
      advice: 'Name a destination outside of the source.',
    });
  }
}

interface ImageParameters {
  readonly imageId: Buffer;
  readonly cipher: CipherName;
  readonly chunkSize: number;
}

async function writeHeader(
  store: StoreWriter,
  options: CreateOptions,
  imageKey: Secret,
  image: ImageParameters,
): Promise<void> {
  const slots = await options.makeSlots(imageKey, image.imageId);
  if (slots.length < 1 || slots.length > MAX_SLOTS) {
    throw new CkptfsError('bad-argument', `${slots.length} key slots: an image has 1 to ${MAX_SLOTS}`);
  }
  const macKey = deriveHeaderMacKey(primitives(), imageKey, image.imageId);
  try {
    const mac = headerMac(primitives(), macKey, authenticatedHeaderBytes({ ...image, slots }));
    store.publish('ckptfs.json', encodeHeader({ ...image, slots, mac }));
  } finally {
    macKey.wipe();
  }
}

/** Returns the tag-page digests of each object. */
async function sealObjects(
  store: StoreWriter,
  plan: Plan,
  options: CreateOptions,
  imageKey: Secret,
  image: { readonly imageId: Buffer; readonly cipher: CipherName; readonly geometry: Geometry },
): Promise<Buffer[]> {
  const { geometry, imageId, cipher } = image;
  const digests = plan.objects.map(({ chunks }) => Buffer.alloc(geometry.groupsFor(chunks) * DIGEST_SIZE));
  let doneBytes = 0;
  function* tasks(): Generator<SealTask> {
    for (const [object, planned] of plan.objects.entries()) {
      store.createObject(planned.id.toString('hex'), geometry.objectSize(planned.chunks));
      for (let group = 0; group < geometry.groupsFor(planned.chunks); group++) {
        yield { objectId: planned.id, object, group, segments: segmentsInGroup(planned, group, geometry) };
      }
    }
  }
  await runTasks<SealTask, SealResult>({
    setup: {
      job: 'seal',
      location: store.location,
      cipher,
      chunkSize: geometry.chunkSize,
      imageId,
      imageKey: imageKey.shared,
    },
    tasks: tasks(),
    jobs: options.jobs ?? defaultJobs,
    signal: options.signal,
    onResult: (digest, task) => {
      digests[task.object]?.set(digest, task.group * DIGEST_SIZE);
      doneBytes += task.segments.reduce((sum, segment) => sum + segment.length, 0);
      options.onProgress?.({ doneBytes, totalBytes: plan.totalBytes });
    },
  });
  return digests;
}

function sealedManifest(manifest: Manifest, imageKey: Secret, { imageId, cipher, chunkSize }: ImageParameters): Buffer {
  const key = deriveManifestKey(primitives(), imageKey, imageId);
  try {
    const nonce = randomBytes(MANIFEST_NONCE_SIZE);
    const plain = encodeManifest(manifest, chunkSize);
    const sealed = sealManifest(key, nonce, manifestAdditionalData(imageId, cipher, chunkSize), plain);
    return encodeManifestEnvelope({ nonce, sealed });
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause;
    throw new CkptfsError('unsupported-source', `the source cannot be kept in an image: ${cause.message}`, { cause });
  } finally {
    key.wipe();
  }
}
