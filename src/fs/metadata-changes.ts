import type { AttributeChanges, Caller, Time } from '../fuse/protocol/filesystem.ts';
import type { LiveInode } from '../image/writable/model/live-inode.ts';
import type { MetadataChanges, NewInode } from '../image/writable/writable-image.ts';

const SET_USER_ID = 0o4000;
const SET_GROUP_ID = 0o2000;
const GROUP_EXECUTES = 0o0010;

type Owned = Readonly<Pick<LiveInode, 'mode' | 'gid'>>;

/** Whose what is made in a directory is: the caller's, but for the group where the directory has the set-group-id bit. */
export function newInode(parent: Owned, mode: number, { uid, gid }: Caller): NewInode {
  return { mode, uid, gid: (parent.mode & SET_GROUP_ID) !== 0 ? parent.gid : gid };
}

/** The same of a directory, which hands the bit on. */
export function newDirectory(parent: Owned, mode: number, caller: Caller): NewInode {
  return newInode(parent, mode | (parent.mode & SET_GROUP_ID), caller);
}

/**
 * What attribute changes mean for an inode besides its size, or undefined when nothing is left to change: a new size has set the mtime
 * already.
 */
export function metadataChanges(
  inode: Readonly<LiveInode>,
  { mode, uid, gid, size, atime, mtime, killPrivileges = false }: AttributeChanges,
  now: Time,
): MetadataChanges | undefined {
  const asked = mode ?? inode.mode;
  const kept = killPrivileges && inode.type !== 'directory' ? withoutPrivileges(asked) : asked;
  const modified = mtime === 'now' ? (size === undefined ? now : undefined) : mtime;
  const changes: MetadataChanges = {
    ...(mode !== undefined || kept !== asked ? { mode: kept } : {}),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(atime === undefined ? {} : { atime: atime === 'now' ? now : atime }),
    ...(modified === undefined ? {} : { mtime: modified }),
  };
  return Object.keys(changes).length === 0 ? undefined : changes;
}

/** See {@link AttributeChanges.killPrivileges}. */
function withoutPrivileges(mode: number): number {
  return mode & ~(SET_USER_ID | ((mode & GROUP_EXECUTES) !== 0 ? SET_GROUP_ID : 0));
}
