import { MalformedError } from '../../base/bytes.ts';
import { CkptfsError } from '../../base/errors.ts';
import { Region } from '../../base/linux/native.ts';
import { verifyHeaderMac } from '../../crypto/header-mac.ts';
import { deriveHeaderMacKey, deriveManifestKey } from '../../crypto/image-keys.ts';
import { openManifest } from '../../crypto/manifest-aead.ts';
import type { Secret } from '../../crypto/secret.ts';
import { primitives } from '../../crypto/select.ts';
import { authenticatedHeaderBytes, type Header, MAX_HEADER_SIZE, parseHeader } from '../../format/header.ts';
import type { Manifest } from '../../format/manifest.ts';
import { decodeManifest } from '../../format/manifest-codec.ts';
import { MAX_MANIFEST_SIZE, manifestAdditionalData, parseManifestEnvelope } from '../../format/manifest-envelope.ts';
import { describeNames } from '../../stores/empty-directory.ts';
import { isNameOfFileSystem } from '../../stores/file-system-names.ts';
import type { Store, StoreLock } from '../../stores/store.ts';

/** A sealed image whose header and manifest have been authenticated. The caller wipes the key. */
export interface Image {
  readonly store: Store;
  readonly header: Header;
  readonly manifest: Manifest;
  readonly imageKey: Secret;
  /** Bytes of the stored manifest file. */
  readonly manifestSize: number;
  /** SHA-256 of the stored manifest file. */
  readonly manifestDigest: Uint8Array;
}

/**
 * Keeps writers out of an image as long as it is read.
 * @throws CkptfsError `unsealed` while a process writes it, or another error of {@link readHeader}; `locked` while a
 *   process begins or ends writing it
 */
export function lockForReading(store: Store): StoreLock {
  try {
    return store.lockForReading();
  } catch (error) {
    // The journal of a writer says more than its lock.
    readHeader(store);
    throw error;
  }
}

/**
 * Reads the header of a sealed image, without authenticating it: the key that would do that is in one of its slots.
 * @throws CkptfsError `not-an-image`, `unfinished`, `unsealed`, `unsupported-format`, `damaged`, `io`
 */
export function readHeader(store: Store): Header {
  const header = readAnyHeader(store);
  if (store.has('journal')) throw unsealed(store);
  if (!store.has('manifest')) throw unfinished(store);
  return header;
}

/**
 * Like {@link readHeader}, but the image may also be unsealed or unfinished (format.md §2).
 * @throws CkptfsError `not-an-image`, `unfinished` when it has no header yet, `unsupported-format`, `damaged`, `io`
 */
export function readAnyHeader(store: Store): Header {
  const bytes = store.readNamed('ckptfs.json', MAX_HEADER_SIZE);
  if (bytes === undefined && (store.has('manifest') || store.has('journal'))) {
    throw damaged(store, 'its header, ckptfs.json, is missing');
  }
  if (bytes === undefined && store.wasBegun()) throw unfinished(store);
  if (bytes === undefined) {
    throw new CkptfsError('not-an-image', `${store.location} is not a ckptfs image: it has no ckptfs.json`, {
      path: store.location,
      data: { reason: 'no-header' },
    });
  }
  return located(store, () => parseHeader(bytes));
}

/**
 * Reads the header of an image that is to be written. If there is no image, the error names the files that keep a new
 * one from being made there.
 * @throws CkptfsError `not-an-image` and others, as {@link readAnyHeader}
 */
export function readHeaderToWriteOn(store: Store): Header {
  try {
    return readAnyHeader(store);
  } catch (cause) {
    if (!(cause instanceof CkptfsError) || cause.code !== 'not-an-image') throw cause;
    const inTheWay = store.list().unexpected.filter((name) => !isNameOfFileSystem(name));
    if (inTheWay.length === 0) throw cause;
    throw new CkptfsError('not-an-image', `${cause.message}, and is not empty: it has ${describeNames(inTheWay)}`, {
      path: store.location,
      data: { reason: 'not-empty' },
      cause,
    });
  }
}

/**
 * Authenticates header and manifest (format.md §4, §5).
 * @param manifestDigest of the manifest that another thread has opened, or whose signature was verified: the storage
 *   may have put another one, which is authentic too, in its place since
 * @throws CkptfsError `unfinished`, `damaged`, `io`
 */
export function openImage(store: Store, header: Header, imageKey: Secret, manifestDigest?: Uint8Array): Image {
  authenticateHeader(store, header, imageKey);
  const bytes = store.readNamed('manifest', MAX_MANIFEST_SIZE);
  if (bytes === undefined) throw unfinished(store);
  const digest = sha256(bytes);
  if (manifestDigest !== undefined && !Buffer.from(digest).equals(manifestDigest)) {
    throw damaged(store, 'another manifest was put in place while the image was read');
  }
  const manifest = unsealManifest(store, header, imageKey, bytes);
  return { store, header, imageKey, manifest, manifestSize: bytes.length, manifestDigest: digest };
}

function sha256(bytes: Uint8Array): Uint8Array {
  const digest = new Region(32);
  primitives().sha256(new Region(bytes), 0, bytes.length, digest, 0);
  return Uint8Array.from(digest.bytes);
}

/** @throws CkptfsError `damaged` */
export function authenticateHeader(store: Store, header: Header, imageKey: Secret): void {
  if (!isAuthenticHeader(header, imageKey)) throw damaged(store, 'header fails authentication');
}

/** Returns whether a header is authentic under an image key, which no other key is then (format.md §3). */
export function isAuthenticHeader(header: Header, imageKey: Secret): boolean {
  const crypto = primitives();
  const macKey = deriveHeaderMacKey(crypto, imageKey, header.imageId);
  try {
    return verifyHeaderMac(crypto, macKey, authenticatedHeaderBytes(header), header.mac);
  } finally {
    macKey.wipe();
  }
}

function unsealManifest(store: Store, header: Header, imageKey: Secret, bytes: Uint8Array): Manifest {
  const { imageId, suite, cipher, chunkSize } = header;
  const key = deriveManifestKey(primitives(), imageKey, imageId);
  try {
    const { nonce, sealed } = parseManifestEnvelope(bytes);
    const plain = openManifest(key, nonce, manifestAdditionalData(imageId, cipher, chunkSize), sealed, suite);
    if (plain === undefined) throw damaged(store, 'manifest fails authentication');
    return decodeManifest(plain, chunkSize);
  } catch (cause) {
    if (cause instanceof MalformedError) throw damaged(store, cause.message);
    throw cause;
  } finally {
    key.wipe();
  }
}

function unfinished(store: Store): CkptfsError {
  return new CkptfsError('unfinished', `${store.location} is an unfinished image: it was never sealed`, {
    path: store.location,
  });
}

function unsealed(store: Store): CkptfsError {
  return new CkptfsError(
    'unsealed',
    `${store.location} is not sealed: it is being written, or writing it was interrupted`,
    { path: store.location, data: { reason: 'written-or-interrupted' } },
  );
}

function damaged(store: Store, reason: string): CkptfsError {
  return new CkptfsError('damaged', `${store.location}: ${reason}`, { path: store.location });
}

/** Gives errors of a pure parser the place they are about. */
function located<T>(store: Store, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof CkptfsError)) throw cause;
    throw cause.reworded(`${store.location}: ${cause.message}`, { path: store.location });
  }
}
