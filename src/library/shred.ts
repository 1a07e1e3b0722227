import { hostname } from 'node:os';
import { CkptfsError } from '../base/errors.ts';
import { encodeShreddedHeader, type Header } from '../format/header.ts';
import { slotInstant } from '../format/slot-description.ts';
import { readAnyHeader } from '../image/read/image.ts';
import { destroyDefaultKey } from '../keys/default-key.ts';
import { dropFromKeyring, imageKeyName } from '../keys/keyring.ts';
import type { Identity } from '../keys/provider.ts';
import type { ServiceProvider } from '../keys/services/service.ts';
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
  /** Is told of each key as soon as it is destroyed. If it throws, no slot is overwritten. */
  readonly onDestroyed?: ((source: string) => void) | undefined;
}

export interface ShreddedImage {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** How many key slots were overwritten. */
  readonly slots: number;
  /** {@link Identity.source} of each key that was destroyed. */
  readonly destroyedKeys: readonly string[];
  /** The default key file of the image, which was destroyed as well. */
  readonly keyFile: string | undefined;
  /** Whether the kernel kept the key of the image for this user; it keeps it no more. */
  readonly wasKept: boolean;
  /** The slots whose keys were not destroyed: they still open every copy of the header. */
  readonly openCopies: readonly ListedSlot[];
}

/**
 * Destroys what opens an image: the keys of services that are named, its key slots, its default key file, and its key
 * in the keyring of the user. What is encrypted stays where it is, and cannot be decrypted any more, except with a copy
 * of the header. After an interruption, the same call goes on.
 * @throws CkptfsError `wrong-image`; `bad-argument` when a key to destroy is of no slot; `key-unavailable` when one is
 *   not destroyed, also when its service says so and still opens a slot; `locked` while the image is mounted;
 *   `not-an-image`, `unfinished`, `unsupported-format`, `damaged`, `io`. No slot is overwritten then
 */
export async function shredImage(location: string, options: ShredOptions): Promise<ShreddedImage> {
  const store = openWritableStore(location);
  try {
    checkImageId(store, readAnyHeader(store), options.imageId);
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
  const { imageId, destroyKeys, onDestroyed } = options;
  const header = readAnyHeader(store);
  checkImageId(store, header, imageId);
  const destroyed = new Set<number>();
  for (const service of destroyKeys) {
    for (const index of await destroyKey(service, header)) destroyed.add(index);
    onDestroyed?.(service.source);
    await checkDestroyed(service, header);
  }
  store.overwrite('ckptfs.json');
  store.publish('ckptfs.json', encodeShreddedHeader(header.imageId, slotInstant(new Date())));
  return {
    imageId,
    slots: header.slots.length,
    destroyedKeys: destroyKeys.map(({ source }) => source),
    keyFile: destroyDefaultKey(header.imageId),
    wasKept: dropKept(header.imageId),
    openCopies: listedSlots(header).filter((_, index) => !destroyed.has(index)),
  };
}

async function destroyKey({ source, destroyKeyOf }: DestroyableKey, header: Header): Promise<readonly number[]> {
  if (destroyKeyOf !== undefined) return destroyKeyOf(header.slots, header.imageId);
  throw new CkptfsError('bad-argument', `${source}: this kind of service destroys no keys`);
}

/** Lets the service try to open the slots with the key that it has destroyed. @throws CkptfsError `key-unavailable` */
async function checkDestroyed(service: DestroyableKey, header: Header): Promise<void> {
  let opened: boolean;
  try {
    const found = await service.unwrap(header.slots, header.imageId);
    found?.imageKey.wipe();
    opened = found !== undefined;
  } catch (error) {
    if (!(error instanceof CkptfsError) || error.code !== 'key-unavailable') throw error;
    opened = false;
  }
  if (!opened) return;
  const message = `${service.source}: it says that the key is destroyed, and still opens a key slot of this image`;
  throw new CkptfsError('key-unavailable', message, { data: { reason: 'garbage' } });
}

/** Takes the key of an image back from the kernel. @returns whether it had it */
function dropKept(imageId: Buffer): boolean {
  try {
    return dropFromKeyring(imageKeyName(imageId));
  } catch (error) {
    // A kernel or a container without keyrings keeps no keys.
    if (error instanceof CkptfsError && error.code === 'missing-feature') return false;
    throw error;
  }
}
