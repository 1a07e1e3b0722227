import type { Time } from '../base/time.ts';
import type { AttributeChanges, Caller } from '../fuse/protocol/filesystem.ts';
import type { LiveInode } from '../image/writable/model/live-inode.ts';
import type { MetadataChanges, NewInode } from '../image/writable/writable-image.ts';

const SET_USER_ID = 0o4000;
const SET_GROUP_ID = 0o2000;
const GROUP_EXECUTES = 0o0010;

type Owned = Readonly<Pick<LiveInode, 'mode' | 'gid'>>;

/**
 * Returns owner, group and mode of a file that is made in a directory. They are the caller's, but a directory with the
 * set-group-id bit gives its own group.
 */
export function newInode(parent: Owned, mode: number, { uid, gid }: Caller): NewInode {
  return { mode, uid, gid: (parent.mode & SET_GROUP_ID) !== 0 ? parent.gid : gid };
}

/** Like {@link newInode}, for a directory, which inherits the set-group-id bit. */
export function newDirectory(parent: Owned, mode: number, caller: Caller): NewInode {
  return newInode(parent, mode | (parent.mode & SET_GROUP_ID), caller);
}

/**
 * Returns what attribute changes mean for an inode besides its size, or undefined when nothing is left to change. A new
 * size has set the mtime already.
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

/** Returns a mode without the bits that {@link AttributeChanges.killPrivileges} clears. */
function withoutPrivileges(mode: number): number {
  return mode & ~(SET_USER_ID | ((mode & GROUP_EXECUTES) !== 0 ? SET_GROUP_ID : 0));
}
