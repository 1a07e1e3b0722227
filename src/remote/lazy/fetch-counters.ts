import { type FetcherCounter, fetcherCounters } from './protocol.ts';

/** What a fetcher did so far, by name. */
export type FetchCounters = { [Name in FetcherCounter]: number };

export function newCounters(): FetchCounters {
  return Object.fromEntries(fetcherCounters.map((name) => [name, 0])) as FetchCounters;
}
