import { checkKeyForDaemon } from '../cli/key-check.ts';

/** Opens an image anew for the daemon of a mount, which asks whether its key may still be used. */
void checkKeyForDaemon();
