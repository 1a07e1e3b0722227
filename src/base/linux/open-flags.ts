import { constants } from 'node:fs';

/** Flags of open(2) that Node has no name for (fcntl.h); the same on every architecture that Node runs on. */

/** Opens a file as a place in the tree alone, which needs no permission to read it and asks no file system. */
export const O_PATH = 0o10000000;
export const O_CLOEXEC = 0o2000000;
/** Opens a new file without a name in a directory; O_DIRECTORY belongs to it. */
export const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
