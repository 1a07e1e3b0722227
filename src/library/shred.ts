import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { CkptfsError } from '../base/errors.ts';
import { encodeMarkedHeader, type Header, isShreddedHeader, MAX_HEADER_SIZE } from '../format/header.ts';
import { slotInstant } from '../format/slot-description.ts';
import { readAnyHeader } from '../image/read/image.ts';
import { destroyDefaultKey } from '../keys/default-key.ts';
import { dropFromKeyring, imageKeyName } from '../keys/keyring.ts';
import type { Identity } from '../keys/provider.ts';
import type { ServiceProvider } from '../keys/services/service.ts';
import { ImagePlace } from '../stores/image-place.ts';
import { openWritableStore } from '../stores/open-store.ts';
import type { WritableStore } from '../stores/writable-store.ts';
import { type ListedSlot, listedSlots } from './key-slots.ts';
import { checkImageId } from './unlock.ts';

/** A key of a service, which destroys it if it can. */
export type DestroyableKey = Pick<ServiceProvider, 'source' | 'unwrap' | 'destroyKeyOf'>;

export interface ShredOptions {
  /** The id that the image must have; 32 hexadecimal digits. */
  readonly imageId: string;
  /** Services whose keys are destroyed. Every other image that was made for one of them is lost as well. */
  readonly destroyKeys: readonly DestroyableKey[];
  /** Takes back from the kernel what mounts of this user share. @returns whether it had something */
  readonly dropShared?: ((imageId: string) => boolean) | undefined;
  /** Is told of each key as soon as it is destroyed. If it throws, no slot is overwritten. */
  readonly onDestroyed?: ((source: string) => void) | undefined;
}

export interface ShreddedImage {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** How many key slots were overwritten; 0 where that was done before an interruption. */
  readonly slots: number;
  /** {@link Identity.source} of each key that was destroyed; none where no slot was left. */
  readonly destroyedKeys: readonly string[];
  /** The default key file of the image, which was destroyed as well. */
  readonly keyFile: string | undefined;
  /** Whether the kernel kept the key of the image for this user; it keeps it no more. */
  readonly wasKept: boolean;
  /** The slots whose keys were not destroyed: they still open every copy of the header. */
  readonly openCopies: readonly ListedSlot[];
}

/**
 * Destroys what opens an image: the keys of services that are named, its default key file, its key in the keyring of
 * the user, and last its key slots. What is encrypted stays where it is, and cannot be decrypted any more, except with
 * a copy of the header. After an interruption, the same call goes on.
 * @throws CkptfsError `wrong-image`; `bad-argument` when a key to destroy is of no slot; `key-unavailable` when one is
 *   not destroyed, also when its service says so and still opens a slot; `locked` while the image is mounted; `exists`
 *   where a re-encryption left a copy beside it; `not-an-image`, `unfinished`, `unsupported-format`, `damaged`, `io`.
 *   No slot is overwritten then
 */
export async function shredImage(location: string, options: ShredOptions): Promise<ShreddedImage> {
  checkNothingBeside(location);
  const store = openWritableStore(location);
  try {
    headerToShred(store, options.imageId);
    const lock = store.lock(`${hostname()} ${process.pid}`);
    try {
      const headerLock = store.lockHeader();
      try {
        return await shredUnderLock(store, options);
      } finally {
        headerLock.release();
      }
    } finally {
      lock.release();
    }
  } finally {
    store.close();
  }
}

async function shredUnderLock(store: WritableStore, options: ShredOptions): Promise<ShreddedImage> {
  const { imageId, dropShared } = options;
  const header = headerToShred(store, imageId);
  store.checkOverwritable('ckptfs.json');
  const slots = header === undefined ? NO_SLOTS : await destroySlotKeys(header, options);
  const id = Buffer.from(imageId, 'hex');
  // Before the slots: an image that says that it was shredded is not looked at again.
  const keyFile = destroyDefaultKey(id);
  const wasKept = [dropKept(() => dropFromKeyring(imageKeyName(id))), dropKept(() => dropShared?.(imageId) ?? false)];
  const left = leftHeader(store, imageId) ?? encodeMarkedHeader(id, 'shredded', slotInstant(new Date()));
  store.replaceOverwritten('ckptfs.json', left);
  return {
    imageId,
    ...slots,
    keyFile,
    wasKept: wasKept.includes(true),
  };
}

type ShreddedSlots = Pick<ShreddedImage, 'slots' | 'destroyedKeys' | 'openCopies'>;

const NO_SLOTS: ShreddedSlots = { slots: 0, destroyedKeys: [], openCopies: [] };

/** Destroys the keys of the slots that services have. */
async function destroySlotKeys(header: Header, { destroyKeys, onDestroyed }: ShredOptions): Promise<ShreddedSlots> {
  const destroyed = new Set<number>();
  // All of them first: what is destroyed does not come back.
  for (const { service, destroy } of destroyKeys.map(destroyerOf)) {
    for (const index of await destroy(header.slots, header.imageId)) destroyed.add(index);
    onDestroyed?.(service.source);
    await checkDestroyed(service, header);
  }
  return {
    slots: header.slots.length,
    destroyedKeys: destroyKeys.map(({ source }) => source),
    openCopies: listedSlots(header).filter((_, index) => !destroyed.has(index)),
  };
}

/** Returns the header; undefined when an interruption came while it was overwritten. @throws as {@link shredImage} */
function headerToShred(store: WritableStore, imageId: string): Header | undefined {
  let header: Header;
  try {
    header = readAnyHeader(store);
  } catch (error) {
    if (leftHeader(store, imageId) !== undefined) return undefined;
    throw error;
  }
  checkImageId(store, header, imageId);
  return header;
}

/** Returns what shredding this image puts in the place of its header, if an interruption left that. */
function leftHeader(store: WritableStore, imageId: string): Buffer | undefined {
  const draft = store.readDraft('ckptfs.json', MAX_HEADER_SIZE);
  return draft !== undefined && isShreddedHeader(draft, imageId) ? draft : undefined;
}

/** Refuses an image beside which the same files are encrypted once more. @throws CkptfsError `exists`, `io` */
function checkNothingBeside(location: string): void {
  const place = ImagePlace.hold(location);
  const path = place.siblingPath;
  place.close();
  if (!existsSync(path)) return;
  throw new CkptfsError('exists', `${path}, which a re-encryption left, may hold the same files`, {
    path,
    data: { reason: 're-encryption' },
  });
}

/** @throws CkptfsError `bad-argument` */
function destroyerOf(service: DestroyableKey) {
  const { source, destroyKeyOf: destroy } = service;
  if (destroy !== undefined) return { service, destroy };
  throw new CkptfsError('bad-argument', `${source}: this kind of service destroys no keys`);
}

/** What a service says of a key that is no more. That it does not answer, or not in time, says nothing. */
const REFUSALS: readonly string[] = ['absent', 'denied', 'refused', 'revoked'];

/**
 * Lets the service try to open the slots with the key that it has destroyed.
 * @throws CkptfsError `key-unavailable` when it opens one, and when it says nothing of the key
 */
async function checkDestroyed(service: DestroyableKey, header: Header): Promise<void> {
  let opened: boolean;
  try {
    const found = await service.unwrap(header.slots, header.imageId);
    found?.imageKey.wipe();
    opened = found !== undefined;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    opened = false;
  }
  if (!opened) return;
  const message = `${service.source}: it says that the key is destroyed, and still opens a key slot of this image`;
  throw new CkptfsError('key-unavailable', message, { data: { reason: 'garbage' } });
}

function isRefusal(error: unknown): boolean {
  if (!(error instanceof CkptfsError) || error.code !== 'key-unavailable') return false;
  const { data } = error as CkptfsError<'key-unavailable'>;
  return REFUSALS.includes(data?.reason ?? '');
}

/** Takes keys of an image back from the kernel. @returns whether it had one */
function dropKept(drop: () => boolean): boolean {
  try {
    return drop();
  } catch (error) {
    // A kernel or a container without keyrings keeps no keys.
    if (error instanceof CkptfsError && error.code === 'missing-feature') return false;
    throw error;
  }
}
