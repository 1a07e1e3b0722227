import { hintFor } from '../cli/hints.ts';
import { runDaemon } from '../serve/daemon/run-daemon.ts';

/** The daemon: the process that serves a mount. */
void runDaemon(hintFor);
