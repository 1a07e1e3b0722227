/** What Linux says of names and links. */

/** Bytes of a name in a directory: NAME_MAX of limits.h, which is XATTR_NAME_MAX as well. */
export const MAX_NAME_LENGTH = 255;

/** Bytes of the target of a symbolic link: PATH_MAX of limits.h, without the NUL at its end. */
export const MAX_TARGET_LENGTH = 4095;

/** What happens to a file that has the new name, as in renameat2(2). */
export type RenameMode = 'replace' | 'no-replace' | 'exchange';
