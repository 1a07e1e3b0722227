import { runImageWorker } from '../image/run-image-worker.ts';

/** A thread that does a part of the work on a whole image: creates, verifies or extracts. */
runImageWorker();
