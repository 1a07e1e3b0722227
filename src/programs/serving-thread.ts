import { runServingThread } from '../serve/thread/run-serving-thread.ts';

/** A thread of the daemon that answers the kernel. */
runServingThread();
