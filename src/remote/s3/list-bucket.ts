import { CkptfsError } from '../../base/errors.ts';
import { objectIdOf, remoteSize } from '../../format/remote-index.ts';
import { garbage } from '../shared/faults.ts';
import { isPlainPath, remoteUrl, type S3Address } from '../shared/remote-address.ts';
import type { ListedRemoteImage } from '../shared/remote-store.ts';
import type { S3Page } from './listing.ts';
import { INDEX_NAME, type S3Store } from './s3-store.ts';

/** Places that are looked at, each with one request or more. */
const MAX_PLACES = 10_000;
/** How many pages of names one place may have; servers answer some 1000 names each. */
const MAX_PAGES = 1000;

/**
 * Lists the images below a prefix: a place with an index is one, and is not looked into; any other is, as far as names
 * end with a slash.
 */
export async function listBucket(
  address: S3Address,
  open: (address: S3Address) => S3Store,
): Promise<ListedRemoteImage[]> {
  const images: ListedRemoteImage[] = [];
  const places = [address.prefix];
  for (let looked = 0; places.length > 0; looked++) {
    const prefix = places.shift() ?? '';
    const store = open({ ...address, prefix });
    const root = prefix === '' ? '' : `${prefix}/`;
    const { hasIndex, prefixes } = await wholeListing(store, root);
    if (hasIndex) images.push(...(await described(store)));
    else places.push(...prefixes.filter((name) => isBelow(name, root)).map((name) => name.slice(0, -1)));
    if (looked + places.length > MAX_PLACES) throw tooMany(remoteUrl(address));
  }
  return images;
}

/**
 * Tells whether a name that a server lists is of a place below another, so that the walk ends, and one that an address
 * can have: `..` in a name would lead to another place.
 */
function isBelow(name: string, root: string): boolean {
  const isLonger = name.startsWith(root) && name.endsWith('/') && name.length > root.length + 1;
  return isLonger && isPlainPath(name.slice(0, -1));
}

/** Returns whether there is an index below a root, and what else there is that ends with a slash. */
async function wholeListing(store: S3Store, root: string): Promise<{ hasIndex: boolean; prefixes: string[] }> {
  const prefixes: string[] = [];
  let [hasIndex, after]: [boolean, string | undefined] = [false, undefined];
  for (let page = 0; page < MAX_PAGES; page++) {
    const listed: S3Page = await store.list(root, { delimiter: '/', ...(after === undefined ? {} : { after }) });
    hasIndex ||= listed.keys.includes(root + INDEX_NAME);
    prefixes.push(...listed.prefixes);
    if (prefixes.length > MAX_PLACES) throw tooMany(store.location);
    if (listed.next === undefined) return { hasIndex, prefixes };
    after = listed.next;
  }
  throw garbage(store.location, 'the server lists names without end');
}

function tooMany(location: string): CkptfsError {
  return garbage(location, `there are more than ${MAX_PLACES} places to look at`);
}

async function described(store: S3Store): Promise<ListedRemoteImage[]> {
  try {
    const index = await store.readIndex();
    if (index === undefined) return [];
    const objects = index.files.filter((file) => objectIdOf(file) !== undefined).length;
    return [{ url: store.location, imageId: index.imageId, cipher: index.cipher, size: remoteSize(index), objects }];
  } catch (error) {
    // What is no index is no image.
    if (error instanceof CkptfsError && error.code === 'not-an-image') return [];
    throw error;
  }
}
