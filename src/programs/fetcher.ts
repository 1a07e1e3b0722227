import { runFetcher } from '../remote/lazy/run-fetcher.ts';

/** The process that fetches the blocks of a mounted image from a remote store. */
void runFetcher();
