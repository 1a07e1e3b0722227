import { leaveMissingDirectory } from '../base/current-directory.ts';

/** Must be imported before yargs, which asks for the current directory when it is loaded. */
leaveMissingDirectory();
