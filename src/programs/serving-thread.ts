import { runServingThread } from '../serve/worker/run-serving-thread.ts';

/** A thread of the daemon that answers the kernel. */
runServingThread();
