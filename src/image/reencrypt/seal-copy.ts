import { CkptfsError } from '../../base/errors.ts';
import type { Effort } from '../../compression/chunk-compressor.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { Signer } from '../../crypto/signer.ts';
import { Geometry } from '../../format/geometry.ts';
import type { Header } from '../../format/header.ts';
import { encodeManifest } from '../../format/manifest-codec.ts';
import { MAX_MANIFEST_SIZE } from '../../format/manifest-envelope.ts';
import type { WritableStore } from '../../stores/writable-store.ts';
import { manifestFile } from '../create/manifest-file.ts';
import { manifestOf, type Plan } from '../create/plan.ts';
import { makeObjectsDurable, sealObjects } from '../create/seal-objects.ts';
import { type Image, openImage } from '../read/image.ts';
import { publishManifest } from '../signatures/publish-manifest.ts';
import { verifyImage } from '../verify/verify.ts';
import type { Cancellation, Progress } from '../workers/worker-pool.ts';
import { hasObjectsOf, planCopy } from './plan-copy.ts';
import type { ResealSetup } from './reseal-worker.ts';

export interface SealCopyOptions extends Cancellation {
  readonly jobs?: number;
  /** How hard it is tried to compress, where the new image is compressed. */
  readonly effort?: Effort | undefined;
  readonly onProgress?: (progress: Progress) => void;
  /** Sign the new image. */
  readonly signers?: readonly Signer[];
  /** Is called while the new image is read to verify it. */
  readonly onVerifyProgress?: (progress: Progress) => void;
}

/** The new image, which has a header that was authenticated or has just been made. */
export interface CopyTarget {
  readonly store: WritableStore;
  readonly header: Header;
  readonly imageKey: Secret;
  /** Whether it may have been filled in part before an interruption. */
  readonly isResumed: boolean;
}

export interface SealedCopy {
  readonly files: number;
  readonly bytes: number;
}

/**
 * Seals what an image holds in another one, and verifies every byte of that (format.md §10). Nothing in clear leaves
 * the memory of the worker threads.
 * @returns undefined when what an interruption left cannot be completed, so that the new image must be begun again
 * @throws CkptfsError `damaged`, `io`, `interrupted`, `bad-argument`
 */
export async function sealCopy(
  image: Image,
  target: CopyTarget,
  options: SealCopyOptions,
): Promise<SealedCopy | undefined> {
  const { store, header, imageKey, isResumed } = target;
  const plan = planCopy(image, imageKey, header);
  const wasSealed = isResumed && store.has('manifest');
  if (wasSealed && !isCopyOf(image, plan, target)) return undefined;
  if (wasSealed) signAgain(image, target, options.signers);
  else await sealNew(image, plan, target, options);
  const { damage } = await verifyImage(openImage(store, header, imageKey), {
    ...options,
    onProgress: (progress) => options.onVerifyProgress?.(progress),
  });
  const [first] = damage;
  if (first !== undefined && wasSealed) return undefined;
  if (first !== undefined) {
    throw new CkptfsError('damaged', `the new image in ${store.location} is damaged: object ${first.object}`, {
      path: store.location,
    });
  }
  return { files: plan.inodes.filter(({ type }) => type === 'file').length, bytes: plan.totalBytes };
}

async function sealNew(image: Image, plan: Plan, target: CopyTarget, options: SealCopyOptions): Promise<void> {
  const { store, header, imageKey, isResumed } = target;
  const planned = new Set(plan.objects.map(({ id }) => id.toString('hex')));
  const found = isResumed ? store.list().objects : [];
  for (const { id } of found) if (!planned.has(id)) store.removeObject(id);
  const existing = new Set(found.map(({ id }) => id).filter((id) => planned.has(id)));
  checkRoom(
    store,
    plan,
    header,
    found.reduce((sum, { size }) => sum + size, 0),
  );
  const setup: ResealSetup = {
    job: 'reseal',
    store: store.place,
    suite: header.suite,
    cipher: header.cipher,
    chunkSize: header.chunkSize,
    compression: header.compression,
    effort: options.effort,
    imageId: header.imageId,
    imageKey: imageKey.shared,
    from: { store: image.store.place, imageKey: image.imageKey.shared, manifestDigest: image.manifestDigest },
    isResumed,
  };
  const digests = await sealObjects(store, plan, setup, { ...options, existing });
  makeObjectsDurable(store, plan);
  const manifest = manifestOf(plan, digests, nextEpoch(image));
  publishManifest(store, header, manifest.epoch, manifestFile(manifest, imageKey, header), options.signers);
}

/** Puts the signatures that are wanted now beside a manifest that is in place. */
function signAgain(image: Image, { store, header }: CopyTarget, signers?: readonly Signer[]): void {
  const file = store.readNamed('manifest', MAX_MANIFEST_SIZE);
  if (file !== undefined) publishManifest(store, header, nextEpoch(image), file, signers);
}

/** The epoch of the new image goes on from that of the old one, so that one who demands an epoch can still do so. */
function nextEpoch(image: Image): number {
  return image.manifest.epoch + 1;
}

/** Tells whether a sealed image is the one that a plan leads to. */
function isCopyOf(old: Image, plan: Plan, { store, header, imageKey }: CopyTarget): boolean {
  try {
    const { manifest } = openImage(store, header, imageKey);
    // Other objects may have another number of digests, which no manifest can be made of.
    if (!hasObjectsOf(plan, manifest)) return false;
    const expected = manifestOf(
      plan,
      manifest.objects.map(({ digests }) => digests),
      nextEpoch(old),
    );
    return encodeManifest(expected, header.chunkSize).equals(encodeManifest(manifest, header.chunkSize));
  } catch (error) {
    if (error instanceof CkptfsError && error.code === 'damaged') return false;
    throw error;
  }
}

/**
 * Refuses work that would fill the file system before it is done. @param present bytes that the new image has already
 * @throws CkptfsError `io` with ENOSPC
 */
function checkRoom(store: WritableStore, plan: Plan, { chunkSize, compression }: Header, present: number): void {
  // How much room compressed chunks take shows when they are there, and work that ends too early can be gone on with.
  if (compression !== undefined) return;
  const geometry = new Geometry(chunkSize);
  const overhead = plan.objects.reduce((sum, { chunks }) => sum + geometry.objectSize(chunks) - chunks * chunkSize, 0);
  const needed = plan.totalBytes + overhead - present;
  const { blockSize, freeBlocks } = store.space();
  if (needed <= blockSize * freeBlocks) return;
  const free = Math.floor((blockSize * freeBlocks) / MIB);
  const message = `${store.location} needs room for ${Math.ceil(needed / MIB)} MiB, and ${free} MiB are free`;
  throw new CkptfsError('io', message, { path: store.location, data: { errno: 'ENOSPC' } });
}

const MIB = 1 << 20;
