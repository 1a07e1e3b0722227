import { CkptfsError } from '../../base/errors.ts';
import { objectIdOf, remoteSize } from '../../format/remote-index.ts';
import { garbage } from '../shared/faults.ts';
import { remoteUrl, type S3Address } from '../shared/remote-address.ts';
import type { ListedRemoteImage } from '../shared/remote-store.ts';
import { INDEX_NAME, type S3Store } from './s3-store.ts';

/** Places that are looked at, each with one request or more. */
const MAX_PLACES = 10_000;

/**
 * Lists the images below a prefix: a place with an index is one, and is not looked into; any other is, as far as names
 * end with a slash.
 */
export async function listBucket(
  address: S3Address,
  open: (address: S3Address) => Promise<S3Store>,
): Promise<ListedRemoteImage[]> {
  const images: ListedRemoteImage[] = [];
  const places = [address.prefix];
  for (let looked = 0; places.length > 0; looked++) {
    if (looked === MAX_PLACES) throw garbage(remoteUrl(address), `there are more than ${MAX_PLACES} places to look at`);
    const prefix = places.shift() ?? '';
    const store = await open({ ...address, prefix });
    const root = prefix === '' ? '' : `${prefix}/`;
    const { keys, prefixes } = await wholeListing(store, root);
    if (keys.includes(root + INDEX_NAME)) images.push(...(await described(store)));
    else places.push(...prefixes.filter((name) => isBelow(name, root)).map((name) => name.slice(0, -1)));
  }
  return images;
}

/** Tells whether a name that a server lists is of a place below another, so that the walk ends. */
function isBelow(name: string, root: string): boolean {
  return name.startsWith(root) && name.endsWith('/') && name.length > root.length + 1;
}

async function wholeListing(store: S3Store, root: string): Promise<{ keys: string[]; prefixes: string[] }> {
  const [keys, prefixes]: [string[], string[]] = [[], []];
  let after: string | undefined;
  do {
    const page = await store.list(root, { delimiter: '/', ...(after === undefined ? {} : { after }) });
    keys.push(...page.keys);
    prefixes.push(...page.prefixes);
    if (prefixes.length > MAX_PLACES || (page.next !== undefined && page.next === after))
      throw garbage(store.location, `there are more than ${MAX_PLACES} places to look at`);
    after = page.next;
  } while (after !== undefined);
  return { keys, prefixes };
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
