import { openLazyTree } from '../serve/thread/open-lazy-tree.ts';
import { runServingThread } from '../serve/thread/run-serving-thread.ts';

/** A thread of the daemon that answers the kernel, for an image in a remote store. */
runServingThread(openLazyTree);
