import type { Directory } from '../base/linux/directory.ts';

/**
 * Directories that a file system has in its root when it is new: of ext2 to ext4 and others, of f2fs, of ZFS and of network
 * storage that shows its snapshots.
 */
const ofFileSystems: ReadonlySet<string> = new Set(['lost+found', '.lost_found', '.zfs', '.snapshot']);

/** Whether a file system may have put something of that name into its root itself. */
export function isNameOfFileSystem(name: string): boolean {
  return ofFileSystems.has(name);
}

/** Leaves out the names of what a file system itself has put into its root. */
export function withoutThoseOfFileSystems(directory: Directory, names: readonly string[]): string[] {
  return names.filter((name) => !(isNameOfFileSystem(name) && directory.lstat(name)?.isDirectory() === true));
}
