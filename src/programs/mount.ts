import { mountForLauncher } from '../cli/mount-here.ts';

/** The descriptor of the pipe that the launcher, bin/ckptfs, reads the exit code from. */
const LAUNCHER = 9;

/** A plain `ckptfs mount` in the background: command and daemon are one process. */
void mountForLauncher(process.argv.slice(3), LAUNCHER);
