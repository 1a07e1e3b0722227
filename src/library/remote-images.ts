import { lockForReading, readHeader } from '../image/read/image.ts';
import { listRemote, type RemoteOptions, withRemote } from '../remote/open-remote.ts';
import { type PullOptions, pullImage } from '../remote/pull.ts';
import { type PushOptions, pushImage, type Transferred } from '../remote/push.ts';
import { openStore } from '../stores/open-store.ts';
import { checkImageId } from './unlock.ts';

export interface PushImageOptions extends RemoteOptions, Omit<PushOptions, 'jobs' | 'signal'> {
  /** Refuses an image with another id; 32 hexadecimal digits. */
  readonly imageId?: string | undefined;
}

export interface PullImageOptions extends RemoteOptions, Omit<PullOptions, 'jobs' | 'signal'> {}

/**
 * Sends a sealed image to a bucket or a registry (docs/remote.md). No key is needed, and only what is missing there is
 * sent.
 * @param location the directory of the image
 * @param url `s3://BUCKET/PREFIX` or `oci://HOST/REPOSITORY:TAG`
 * @throws CkptfsError `exists` when another image is there, `store-unavailable`, `source-changed`, `not-an-image`,
 *   `unfinished`, `unsealed`, `wrong-image`, `locked`, `damaged`, `bad-key-file`, `io`, `interrupted`
 */
export async function pushToRemote(location: string, url: string, options: PushImageOptions): Promise<Transferred> {
  const store = openStore(location);
  try {
    const lock = lockForReading(store);
    try {
      const header = readHeader(store);
      checkImageId(store, header, options.imageId);
      return await withRemote(url, options, (remote) => pushImage(store, header, remote, options));
    } finally {
      lock.release();
    }
  } finally {
    store.close();
  }
}

/**
 * Fetches an image from a bucket or a registry into a new directory, or goes on where that was interrupted. No key is
 * needed: each part is compared with its digest. What the image says is authenticated when it is opened.
 * @throws CkptfsError `exists`, `store-unavailable`, `not-an-image`, `wrong-image`, `damaged`, `locked`,
 *   `bad-key-file`, `io`, `interrupted`
 */
export function pullFromRemote(url: string, location: string, options: PullImageOptions): Promise<Transferred> {
  return withRemote(url, options, (remote) => pullImage(remote, location, options));
}

/**
 * Removes an image from a bucket or a registry.
 * @returns whether it was there
 * @throws CkptfsError `not-an-image` for a tag of something else, `store-unavailable`, `bad-key-file`, `interrupted`
 */
export function removeFromRemote(url: string, options: RemoteOptions): Promise<boolean> {
  return withRemote(url, options, (remote) => remote.remove());
}

/**
 * Stores beside an image in which order its blocks were read, for those who mount it later (docs/remote.md).
 * @param profile an access profile of that image
 * @throws CkptfsError `store-unavailable`, `not-an-image`, `damaged`, `bad-key-file`, `interrupted`
 */
export function writeProfileToRemote(url: string, profile: Buffer, options: RemoteOptions): Promise<void> {
  return withRemote(url, options, (remote) => remote.writeProfile(profile));
}

export { listRemote };
