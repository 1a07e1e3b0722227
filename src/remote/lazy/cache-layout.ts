import { hash } from 'node:crypto';
import { join } from 'node:path';
import { getRandom } from '../../base/linux/getrandom.ts';
import { Region } from '../../base/linux/native.ts';

/** What is where in a cache directory. Everything there is shared by all fetchers of a user, and hostile. */

/** Directories of stubs, each named by the SHA-256 of an index: 64 hexadecimal digits. */
export const IMAGES = 'images';
/** In the directory of a stub: the index, the block table, and an image directory without objects (format.md §2). */
export const INDEX = 'index';
export const TABLE = 'blocks';
export const IMAGE = 'image';
/** Packed blocks. */
export const BLOCKS = 'blocks';
/** A file of which fetchers lock bytes. */
export const LOCKS = 'locks';
/** Sockets of fetchers that serve. */
export const SOCKETS = 'sockets';

/** The byte that the one has locked who removes what is too much. */
export const EVICTION_LOCK = 2 ** 62;
/** 48 bits: a file has no more bytes to lock than 2^63. */
const LOCK_DIGITS = 12;
const NAME_BYTES = 8;

/** Where a packed block is: in a folder of {@link BLOCKS}, under its digest, which has 32 hexadecimal digits. */
export interface BlockFile {
  readonly folder: string;
  readonly name: string;
}

/** @param digest the first 16 bytes of the SHA-256 of a packed block, 32 hexadecimal digits */
export function blockFile(digest: string): BlockFile {
  return { folder: digest.slice(0, 2), name: digest };
}

/**
 * Returns the byte that who fetches a block has locked. Another image has other bytes, also for the same block: its
 * store may let who asks wait, and is not to hold up those who fetch from another store.
 * @param image where an image is, and which one it is
 */
export function blockLock(image: string, digest: string): number {
  return Number.parseInt(hash('sha256', `${image} ${digest}`).slice(0, LOCK_DIGITS), 16);
}

/** Returns the path of the image directory of a stub. @param cache an absolute path */
export function stubImage(cache: string, index: string): string {
  return join(cache, IMAGES, index, IMAGE);
}

/** Returns a name that nothing else has. */
export function randomName(): string {
  const memory = new Region(NAME_BYTES);
  getRandom(memory, 0, NAME_BYTES);
  return memory.bytes.toString('hex');
}

/** Returns a name for what is not yet what its name will say, and is removed when it is old (eviction.ts). */
export function draftName(): string {
  return `.${randomName()}`;
}

/** What is older was made by a process that was killed meanwhile. */
export const OLD_DRAFT_SECONDS = 600;

export function isDraft(name: string): boolean {
  return name.startsWith('.');
}
