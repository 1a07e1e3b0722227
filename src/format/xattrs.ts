/**
 * Extended attributes of one inode, in strictly ascending byte order of names. Names are `user.` and 1 to 250 more
 * bytes.
 */
export type XattrList = readonly Xattr[];

export interface Xattr {
  readonly name: Buffer;
  readonly value: Buffer;
}

/** Returns whether the format keeps an attribute of this name (format.md §2). */
export function isKeptXattr(name: Uint8Array): boolean {
  return name.length > 5 && name.length <= 255 && !name.includes(0) && Buffer.from(name.subarray(0, 5)).equals(USER);
}

const USER = Buffer.from('user.', 'latin1');
