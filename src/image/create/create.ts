import { relative } from 'node:path';
import { absolutePath } from '../../base/current-directory.ts';
import { CkptfsError } from '../../base/errors.ts';
import { checkCompression } from '../../compression/check-compression.ts';
import type { Compression } from '../../compression/chunk-compressor.ts';
import { Secret } from '../../crypto/secret.ts';
import type { Signer } from '../../crypto/signer.ts';
import { randomBytes } from '../../crypto/system-random.ts';
import { type CipherName, DEFAULT_CIPHER } from '../../format/ciphers.ts';
import { defaultChunkSize } from '../../format/geometry.ts';
import { ID_SIZE } from '../../format/manifest.ts';
import { checkSuite, DEFAULT_SUITE, type SuiteName } from '../../format/suites.ts';
import { checkVacant, createStore } from '../../stores/open-store.ts';
import type { WritableStore } from '../../stores/writable-store.ts';
import { geometryOf } from '../objects/image-context.ts';
import type { Loss } from '../outside/losses.ts';
import { publishManifest } from '../signatures/publish-manifest.ts';
import type { Cancellation, Progress } from '../workers/worker-pool.ts';
import { manifestFile } from './manifest-file.ts';
import { checkChunkSize, checkSlots, type MakeSlots, writeHeader } from './new-header.ts';
import { manifestOf, planImage } from './plan.ts';
import { scanSource } from './scan-source.ts';
import { makeObjectsDurable, sealObjects } from './seal-objects.ts';
import type { SealSetup } from './seal-worker.ts';
import { checkUnchanged, type OpenSource, openSource } from './source.ts';
import { shareNames } from './source-names.ts';

export interface CreateOptions extends Cancellation {
  /** The directory to encrypt. It is only read. */
  readonly source: string;
  /** A directory that does not exist, or is empty. */
  readonly destination: string;
  readonly makeSlots: MakeSlots;
  readonly suite?: SuiteName;
  readonly cipher?: CipherName;
  /** Bytes; see {@link isChunkSize}. */
  readonly chunkSize?: number;
  /** Compress chunks where that saves a sector; see the threat model (format.md §1). By default none. */
  readonly compression?: Compression;
  /** Worker threads; by default their number follows the work, up to one per core. */
  readonly jobs?: number;
  /** Leave devices out instead of refusing them. */
  readonly skipSpecial?: boolean;
  readonly onProgress?: (progress: Progress) => void;
  /** Sign the image. */
  readonly signers?: readonly Signer[];
}

export interface CreatedImage {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  readonly files: number;
  readonly bytes: number;
  /** Paths left out because of `skipSpecial`. */
  readonly skipped: readonly string[];
  /** What the image does not keep, apart from what the format cannot express. */
  readonly losses: readonly Loss[];
}

/**
 * Refuses what cannot be encrypted, or not to there, as far as that is known before anyone is asked for a secret.
 * @throws CkptfsError `bad-argument`, `missing-feature`, `exists`, `unsupported-source`, `io`
 */
export function checkCreation(
  options: Pick<CreateOptions, 'source' | 'destination' | 'suite' | 'cipher' | 'chunkSize' | 'compression'>,
): void {
  checkChunkSize(options.chunkSize);
  checkSuite(options);
  checkCompression(options.compression);
  refuseInside(options.source, options.destination);
  openSource(options.source).root.close();
  checkVacant(options.destination);
}

/**
 * Encrypts a directory into a new image and makes it durable. Until it returns, the destination is an unfinished image,
 * which stays there if this fails.
 * @throws CkptfsError `exists`, `unsupported-source`, `source-changed`, `io`, `interrupted`, `bad-argument`,
 * `missing-feature`
 */
export async function createImage(options: CreateOptions): Promise<CreatedImage> {
  checkChunkSize(options.chunkSize);
  checkSuite(options);
  checkCompression(options.compression);
  refuseInside(options.source, options.destination);
  const source = openSource(options.source);
  try {
    return await encryptSource(source, options);
  } finally {
    source.root.close();
  }
}

async function encryptSource(source: OpenSource, options: CreateOptions): Promise<CreatedImage> {
  const { destination, suite = DEFAULT_SUITE, cipher = DEFAULT_CIPHER } = options;
  const compression = options.compression?.name;
  const { chunkSize = defaultChunkSize(compression) } = options;
  const tree = scanSource(source, options.skipSpecial ?? false);
  const imageId = randomBytes(ID_SIZE);
  const lasting = { imageId, suite, cipher, chunkSize, compression };
  const plan = planImage(tree, geometryOf(lasting));
  const imageKey = Secret.random(32);
  let store: WritableStore | undefined;
  try {
    // First, so that slots which cannot be made make no directory.
    const slots = await options.makeSlots(imageKey, imageId);
    checkSlots(slots, suite);
    store = createStore(destination);
    writeHeader(store, imageKey, { ...lasting, slots });
    const shared = { root: source.root.fd, location: source.location, names: shareNames(tree.inodes) };
    const setup: SealSetup = {
      job: 'seal',
      store: store.place,
      ...lasting,
      effort: options.compression,
      imageKey: imageKey.shared,
      source: shared,
    };
    const digests = await sealObjects(store, plan, setup, options);
    checkUnchanged(source, tree);
    makeObjectsDurable(store, plan);
    const manifest = manifestOf(plan, digests);
    const file = manifestFile(manifest, imageKey, lasting);
    publishManifest(store, lasting, manifest.epoch, file, options.signers);
  } finally {
    imageKey.wipe();
    store?.close();
  }
  const files = plan.inodes.filter((inode) => inode.type === 'file').length;
  return {
    imageId: imageId.toString('hex'),
    files,
    bytes: plan.totalBytes,
    skipped: tree.skipped,
    losses: tree.losses,
  };
}

/** Refuses an image within its own source, because making it would change the source. */
export function refuseInside(source: string, destination: string): void {
  const within = relative(absolutePath(source), absolutePath(destination));
  if (within !== '..' && !within.startsWith('../')) {
    throw new CkptfsError('bad-argument', `${destination} is within ${source}`, {
      path: destination,
      data: { reason: 'inside-source' },
    });
  }
}
