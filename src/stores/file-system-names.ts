import type { Directory } from '../base/linux/directory.ts';

/**
 * Directories that a new file system has in its root: ext2 to ext4 and others, f2fs, ZFS, and network storage that
 * shows its snapshots.
 */
const OWN_NAMES: ReadonlySet<string> = new Set(['lost+found', '.lost_found', '.zfs', '.snapshot']);

/** Returns whether a file system may have put a directory of this name into its root by itself. */
export function isNameOfFileSystem(name: string): boolean {
  return OWN_NAMES.has(name);
}

/** Returns the names in a directory without those that a file system has put into its root by itself. */
export function withoutThoseOfFileSystems(directory: Directory, names: readonly string[]): string[] {
  return names.filter((name) => !(isNameOfFileSystem(name) && directory.lstat(name)?.isDirectory() === true));
}
