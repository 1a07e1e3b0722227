import { authenticateHeader, readAnyHeader } from '../image/read/image.ts';
import { dropFromKeyring, imageKeyName, storeInKeyring } from '../keys/keyring.ts';
import { openStore } from '../stores/open-store.ts';
import { checkImageId, type OpenOptions, unlockHeader } from './unlock.ts';

/**
 * Opens an image and gives its key to the kernel, which keeps it for a time for processes of the same user.
 * @param ttlSeconds 1 to 2,147,483,647
 * @returns the id of the image, 32 hexadecimal digits
 * @throws CkptfsError `bad-argument`, `bad-key-file` and `missing-feature` from the keyring; `not-an-image`,
 * `unfinished`, `unsupported-format`, `damaged`, `wrong-image`, `no-key`, `wrong-key`, `io`
 */
export async function keepImageKey(location: string, options: OpenOptions, ttlSeconds: number): Promise<string> {
  const store = openStore(location);
  try {
    const header = readAnyHeader(store);
    const { imageKey } = await unlockHeader(store, header, options);
    try {
      authenticateHeader(store, header, imageKey);
      storeInKeyring(imageKeyName(header.imageId), imageKey, ttlSeconds);
      return header.imageId.toString('hex');
    } finally {
      imageKey.wipe();
    }
  } finally {
    store.close();
  }
}

/**
 * Takes the key of an image back from the kernel. Mounts that have read it keep it.
 * @param imageId refuses an image with another id; 32 hexadecimal digits
 * @returns the id of the image, and whether the kernel had its key
 * @throws CkptfsError `bad-key-file`, `missing-feature`, `not-an-image`, `unfinished`, `unsupported-format`, `damaged`,
 * `wrong-image`, `io`
 */
export function dropImageKey(
  location: string,
  imageId?: string,
): { readonly imageId: string; readonly wasKept: boolean } {
  const store = openStore(location);
  try {
    const header = readAnyHeader(store);
    checkImageId(store, header, imageId);
    return {
      imageId: header.imageId.toString('hex'),
      wasKept: dropFromKeyring(imageKeyName(header.imageId)),
    };
  } finally {
    store.close();
  }
}
