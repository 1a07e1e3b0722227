import { CkptfsError } from '../base/errors.ts';
import type { Secret } from '../crypto/secret.ts';
import type { CipherName } from '../format/ciphers.ts';
import type { Header } from '../format/header.ts';
import type { Slot } from '../format/slot.ts';
import { DEFAULT_SUITE, type SuiteName } from '../format/suites.ts';
import {
  authenticateHeader,
  isAuthenticHeader,
  readAnyHeader,
  readHeader,
  readHeaderToWriteOn,
} from '../image/read/image.ts';
import { type Identity, type UnwrappedKey, unwrapImageKey } from '../keys/provider.ts';
import { openStore } from '../stores/open-store.ts';
import type { ImagePlace, Store } from '../stores/store.ts';
import { slotNamed } from './named-slot.ts';

export interface OpenOptions {
  /** Tried in order; or a function that returns them for an image, by its 16-byte id. They stay the caller's. */
  readonly keys: readonly Identity[] | FindIdentities;
  /**
   * Returns the key of the image with this 16-byte id from where it was kept before, for the caller to wipe. One that
   * does not fit the image any more is passed over. It is asked before `keys`.
   */
  readonly keptKey?: ((imageId: Buffer) => Secret | undefined) | undefined;
  /**
   * Returns the key of the image with this id, 32 hexadecimal digits, or calls `open` for it. The caller wipes it.
   * Where it is given, `keptKey` is not asked.
   */
  readonly share?: ShareKey | undefined;
  /** The only key slot that keys are tried on: its number from 1, its label, or the beginning of its thumbprint. */
  readonly keySlot?: string | undefined;
  /** Refuse an image with another id; 32 hexadecimal digits. */
  readonly imageId?: string | undefined;
  /**
   * Is told of every attempt to open an image with a key, before anything is done with it. If it throws, the image is
   * not opened.
   */
  readonly onOpening?: ((opening: Opening) => void) | undefined;
  /** Is told of every image before a key is used for it, and throws to refuse it. */
  readonly admit?: ((image: ImageToOpen) => void) | undefined;
}

/** Shares the key of an image with other processes. @param isRight tells whether a key is that of the image */
export type ShareKey = (
  imageId: string,
  isRight: (imageKey: Secret) => boolean,
  open: () => Promise<UnwrappedKey>,
) => Promise<UnwrappedKey>;

/** An image that was opened with a key, or was not. Has no secret. */
export interface Opening {
  readonly location: string;
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** Index of the key slot, from 0; undefined for a key that needed none, and where no slot was opened. */
  readonly slot?: number | undefined;
  /** Names what opened the slot. */
  readonly source?: string | undefined;
  /** See `OpenedSlot`. */
  readonly leaseSeconds?: number | undefined;
  readonly fetchedAt?: number | undefined;
  readonly isShared?: boolean | undefined;
  /** Why it was not opened. */
  readonly error?: CkptfsError | undefined;
}

/** What the header of an image says. It is authenticated only when the image is open. */
export interface ImageToOpen {
  readonly location: string;
  readonly suite: SuiteName;
  readonly cipher: CipherName;
}

/** Returns what may open an image, by its 16-byte id and its slots. */
export type FindIdentities = (
  imageId: Buffer,
  slots: readonly Slot[],
) => readonly Identity[] | Promise<readonly Identity[]>;

export interface UnlockOptions extends OpenOptions {
  /** The image is to be mounted with `write`, so it may be unsealed as well. */
  readonly write?: boolean;
}

/**
 * Returns the image key of an image, for mounting it. The caller wipes it.
 * @throws CkptfsError `not-an-image`, `unfinished`, `unsealed`, `unsupported-format`, `damaged`, `wrong-image`,
 * `no-key`, `wrong-key`, `io`
 */
export async function unlockImage(place: ImagePlace, options: UnlockOptions): Promise<Secret> {
  const store = openStore(place);
  try {
    const header = options.write === true ? readHeaderToWriteOn(store) : readHeader(store);
    return (await unlockHeader(store, header, options)).imageKey;
  } finally {
    store.close();
  }
}

/**
 * Authenticates the header of an image with its key. An image that is not sealed shows nothing more without being
 * written to.
 * @throws CkptfsError `not-an-image`, `unfinished`, `unsupported-format`, `damaged`, `wrong-image`, `no-key`,
 * `wrong-key`, `io`
 */
export async function authenticateImage(location: string, options: OpenOptions): Promise<void> {
  const store = openStore(location);
  try {
    const header = readAnyHeader(store);
    const { imageKey } = await unlockHeader(store, header, options);
    try {
      authenticateHeader(store, header, imageKey);
    } finally {
      imageKey.wipe();
    }
  } finally {
    store.close();
  }
}

/**
 * Opens a key slot of a header. The caller wipes the key.
 * @throws CkptfsError `wrong-image`, `no-key`, `wrong-key`; what `admit` and `onOpening` throw
 */
export async function unlockHeader(store: Store, header: Header, options: OpenOptions): Promise<UnwrappedKey> {
  const image = { location: store.location, imageId: header.imageId.toString('hex') };
  let opened: UnwrappedKey;
  try {
    opened = await unwrapped(store, header, options);
  } catch (error) {
    if (error instanceof CkptfsError) options.onOpening?.({ ...image, error });
    throw error;
  }
  try {
    const { imageKey, ...facts } = opened;
    options.onOpening?.({ ...image, ...facts });
    return opened;
  } catch (error) {
    opened.imageKey.wipe();
    throw error;
  }
}

async function unwrapped(
  store: Store,
  header: Header,
  { keys, keptKey, share, keySlot, imageId, admit }: OpenOptions,
): Promise<UnwrappedKey> {
  checkImageId(store, header, imageId);
  admit?.({ location: store.location, suite: header.suite ?? DEFAULT_SUITE, cipher: header.cipher });
  const slots = keySlot === undefined ? header.slots : onlySlot(header.slots, keySlot);
  const kept = keySlot === undefined && share === undefined ? keptKey?.(header.imageId) : undefined;
  if (kept !== undefined) {
    if (isAuthenticHeader(header, kept)) return { imageKey: kept, slot: undefined, source: 'the kernel keyring' };
    kept.wipe();
  }
  const open = async (): Promise<UnwrappedKey> => {
    const identities = typeof keys === 'function' ? await keys(header.imageId, slots) : keys;
    return unwrapImageKey(slots, header.imageId, identities);
  };
  if (share === undefined) return open();
  return share(header.imageId.toString('hex'), (key) => isAuthenticHeader(header, key), open);
}

/** What opens nothing, in the place of a slot that is not to be tried, so that the others keep their numbers. */
const NO_SLOT: Slot = { protected: '', encrypted_key: '', iv: '', ciphertext: '', tag: '' };

function onlySlot(slots: readonly Slot[], which: string): readonly Slot[] {
  const named = slotNamed(slots, which);
  return slots.map((slot) => (slot === named ? slot : NO_SLOT));
}

/** Compares the id of an image. @param wanted 32 hexadecimal digits, or undefined. @throws CkptfsError `wrong-image` */
export function checkImageId(store: Store, header: Header, wanted: string | undefined): void {
  const found = header.imageId.toString('hex');
  if (wanted === undefined || wanted.toLowerCase() === found) return;
  throw new CkptfsError('wrong-image', `${store.location} is image ${found}, not ${wanted}`, {
    path: store.location,
    data: { reason: 'other-id' },
  });
}
