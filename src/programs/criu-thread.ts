import { openCriuTree } from '../serve/thread/open-criu-tree.ts';
import { runServingThread } from '../serve/thread/run-serving-thread.ts';

/** A thread of the daemon that answers the kernel, for a directory that CRIU encrypted. */
runServingThread(openCriuTree);
