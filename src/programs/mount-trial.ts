import { runMountTrial } from '../serve/daemon/run-mount-trial.ts';

/** The process that tries to mount for `ckptfs doctor`: `mount-trial.js DIRECTORY`. */
void runMountTrial(process.argv[2] ?? '');
