/** Runs memory-daemon.ts as it is, in the main thread and, since that starts this file as its worker, in that one. */
import { register } from 'tsx/esm/api';

register();
await import('./memory-daemon.ts');
