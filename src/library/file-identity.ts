import type { BigIntStats } from 'node:fs';

/** Which file it is, and which contents it has: the kernel gives it another `ctime` with each change. Whole numbers. */
export interface FileIdentity {
  readonly device: string;
  readonly inode: string;
  /** In bytes. */
  readonly size: string;
  /** Nanoseconds since 1970. */
  readonly mtime: string;
  readonly ctime: string;
}

export const identityMembers = ['device', 'inode', 'size', 'mtime', 'ctime'] as const satisfies (keyof FileIdentity)[];

/** Says what a file is. */
export function identityOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileIdentity {
  return { device: `${dev}`, inode: `${ino}`, size: `${size}`, mtime: `${mtimeNs}`, ctime: `${ctimeNs}` };
}

/** Returns whether it is the same file with the same contents, or both are not known. */
export function isSame(one: FileIdentity | undefined, other: FileIdentity | undefined): boolean {
  return identityMembers.every((member) => one?.[member] === other?.[member]);
}

/** Like {@link isSame}, after a change of its names, which changes `ctime` as well. */
export function isSameRenamed(one: FileIdentity, other: FileIdentity): boolean {
  return isSame({ ...one, ctime: other.ctime }, other);
}
