import { CkptfsError } from '../base/errors.ts';
import type { Signer, SignerTrust } from '../crypto/signer.ts';
import type { Header } from '../format/header.ts';
import { lockForReading, readHeader } from '../image/read/image.ts';
import { signSealed } from '../image/sign-image.ts';
import { type AcceptedSignature, checkSignatures, refused } from '../image/signatures/check.ts';
import { listSignatures } from '../image/signatures/stored-signatures.ts';
import { openStore, openWritableStore } from '../stores/open-store.ts';
import type { ImagePlace, Store } from '../stores/store.ts';
import { isRefused, recordEpoch } from './seen-epochs.ts';
import { checkImageId, type Opening, type OpenOptions, unlockHeader } from './unlock.ts';

/** What is demanded of the signature of an image before anything of it is given out. */
export interface SignatureDemand {
  /** Who may have signed it; see `readTrustedSigners`. */
  readonly trust: SignerTrust;
  /** Refuses an image of an older seal. */
  readonly minEpoch?: number | undefined;
  /**
   * A file that keeps, for each image, the seal with the highest epoch that was accepted, and the ids of the images
   * that accepted ones took the place of. It is made where there is none. An image of an older seal is refused, another
   * one of the same epoch, and one that was replaced.
   */
  readonly epochFile?: string | undefined;
  /** Is told of every image that is refused for its signature. */
  readonly onRefused?: ((opening: Opening) => void) | undefined;
}

/**
 * Verifies the signature of an image, for which no key of the image is needed. Whether its objects are whole is not
 * looked at.
 * @param imageId refuses an image with another id; 32 hexadecimal digits
 * @throws CkptfsError `untrusted`, `not-an-image`, `unfinished`, `unsealed`, `unsupported-format`, `damaged`,
 * `wrong-image`, `io`
 */
export async function checkSignature(
  place: ImagePlace,
  demand: SignatureDemand,
  imageId?: string,
): Promise<AcceptedSignature> {
  const store = openStore(place);
  try {
    const lock = lockForReading(store);
    try {
      const header = readHeader(store);
      checkImageId(store, header, imageId);
      return await demandSignature(store, header, demand);
    } finally {
      lock.release();
    }
  } finally {
    store.close();
  }
}

/** Like {@link checkSignature}, for a store that is open. */
export async function demandSignature(
  store: Store,
  header: Header,
  demand: SignatureDemand,
): Promise<AcceptedSignature> {
  try {
    return await accept(store, header, demand);
  } catch (error) {
    const image = { location: store.location, imageId: header.imageId.toString('hex') };
    if (error instanceof CkptfsError) demand.onRefused?.({ ...image, error });
    throw error;
  }
}

async function accept(
  store: Store,
  header: Header,
  { trust, minEpoch = 0, epochFile }: SignatureDemand,
): Promise<AcceptedSignature> {
  const accepted = await checkSignatures(store, header, trust);
  const { epoch } = accepted;
  if (epoch < minEpoch) {
    throw refused(store.location, 'too-old', `is of seal ${epoch}; seal ${minEpoch} or a later one is demanded`);
  }
  if (epochFile !== undefined) await refuseOlder(store.location, accepted, epochFile);
  return accepted;
}

/**
 * @throws CkptfsError `untrusted` for an older seal than this host has seen, another one of the same epoch, and an
 *   image that was replaced
 */
async function refuseOlder(
  location: string,
  { imageId, epoch, replaces, manifestDigest }: AcceptedSignature,
  epochFile: string,
): Promise<void> {
  const manifest = Buffer.from(manifestDigest).toString('hex');
  const seal = { epoch, manifest };
  const seen = await recordEpoch(epochFile, imageId, seal, replaces);
  if (!isRefused(seal, seen)) return;
  if ('replacedBy' in seen) {
    const problem = `is image ${imageId}, which this host has seen replaced by image ${seen.replacedBy} (${epochFile})`;
    throw refused(location, 'replaced', problem);
  }
  if (epoch < seen.epoch) {
    const problem = `is of seal ${epoch}; this host has seen seal ${seen.epoch} of it (${epochFile})`;
    throw refused(location, 'too-old', problem);
  }
  throw refused(location, 'altered', `is not the seal ${epoch} of it that this host has seen (${epochFile})`);
}

/** An image after it was signed. */
export interface SignedImage {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** The number of the seal that was signed. */
  readonly epoch: number;
  /** The number of signatures that it has now. */
  readonly signatures: number;
}

/**
 * Adds signatures to a sealed image, once its header and its manifest are authenticated. Signatures of others stay,
 * unless they are of another seal.
 * @throws CkptfsError `bad-argument` for a key that signs no images, or more than 16 signatures; `locked` while another
 * process signs it or changes its slots; `not-an-image`, `unfinished`, `unsealed`, `unsupported-format`, `damaged`,
 * `wrong-image`, `no-key`, `wrong-key`, `io`
 */
export async function signImage(
  location: string,
  options: OpenOptions,
  signers: readonly Signer[],
): Promise<SignedImage> {
  const store = openWritableStore(location);
  try {
    const readers = lockForReading(store);
    try {
      const before = readHeader(store);
      // Tells at once when another process signs it.
      store.lockHeader().release();
      const { imageKey } = await unlockHeader(store, before, options);
      try {
        const lock = store.lockHeader();
        try {
          const header = readHeader(store);
          const { epoch } = signSealed(store, header, imageKey, signers);
          return { imageId: header.imageId.toString('hex'), epoch, signatures: listSignatures(store).length };
        } finally {
          lock.release();
        }
      } finally {
        imageKey.wipe();
      }
    } finally {
      readers.release();
    }
  } finally {
    store.close();
  }
}
