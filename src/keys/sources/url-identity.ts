import { Deadline } from '../../base/deadline.ts';
import { CkptfsError } from '../../base/errors.ts';
import type { Slot } from '../../format/slot.ts';
import type { Identity, OpenedSlot } from '../provider.ts';
import { openKeySource } from './registry.ts';
import type { SourceOptions } from './source.ts';
import { sourceProvider } from './source-provider.ts';
import { checkedSeconds } from './time-limit.ts';

/** URLs of one image that are followed at most: an attacker who has the storage can write slots. */
const MAX_FETCHES = 8;
/** A timer may end a moment before the deadline that it is for. */
const LEAST_MILLISECONDS = 10;

/**
 * Parts of a URL that choose more than a path, or that servers read as another path than we do: a query, a fragment, a
 * backslash, and `/`, `\`, `.` and `%` that are written as escapes, an empty directory, and `..;` (path parameters).
 */
const AMBIGUOUS = /[?#\\]|%(?:2f|5c|2e|25)|[^:]\/\/|\/\.{1,2};/i;

/**
 * Makes an identity that fetches keys from the URLs in slots, those alone that the user allows, and follows redirects
 * within the prefix that allows the URL. The time is that of all together. A URL that fails does not keep the others
 * from being tried; if no key opens the image, the first failure is thrown.
 * @param prefixes beginnings of https URLs: the same server, and a whole path or the directories that lead to it
 * @throws CkptfsError `bad-argument` for a prefix that is not an https URL
 */
export function urlIdentity(prefixes: readonly string[], options: SourceOptions): Identity {
  const allowed = prefixes.map(parsedPrefix);
  return {
    source: `a key below ${prefixes.join(', ')}`,
    unwrap: async (slots, imageId) => {
      const named = new Set(slots.flatMap(({ header }) => header?.url ?? []));
      const urls = [...named].filter((url) => allowed.some((prefix) => isBelow(url, prefix))).slice(0, MAX_FETCHES);
      const failures: CkptfsError[] = [];
      const deadline = Deadline.after(checkedSeconds(options.timeoutSeconds) * 1000);
      for (const [asked, url] of urls.entries()) {
        if (deadline.left < LEAST_MILLISECONDS) throw outOfTime(failures, urls.length - asked);
        const prefixes = allowed.filter((prefix) => isBelow(url, prefix));
        const mayFollow = ({ href }: URL): boolean => prefixes.some((prefix) => isBelow(href, prefix));
        try {
          const opened = await openFrom(url, slots, imageId, { ...options, deadline, mayFollow });
          if (opened !== undefined) return opened;
        } catch (error) {
          if (!(error instanceof CkptfsError) || error.code === 'interrupted') throw error;
          failures.push(error);
        }
      }
      if (failures[0] !== undefined) throw failures[0];
      return undefined;
    },
  };
}

/** Fetches a key, and tries it on the slots that name its URL. */
async function openFrom(
  url: string,
  slots: readonly Slot[],
  imageId: Buffer,
  options: SourceOptions,
): Promise<OpenedSlot | undefined> {
  const provider = sourceProvider(await openKeySource(url, options));
  try {
    for (const [index, slot] of slots.entries()) {
      const opened = slot.header?.url === url ? await provider.unwrap([slot], imageId) : undefined;
      if (opened !== undefined) return { imageKey: opened.imageKey, slot: index };
    }
    return undefined;
  } finally {
    provider.wipe();
  }
}

/** Returns an https URL that every server reads as the same path; undefined for anything else. */
function plainUrl(text: string): URL | undefined {
  const url = URL.canParse(text) && !AMBIGUOUS.test(text) ? new URL(text) : undefined;
  return url?.protocol === 'https:' && url.username === '' && url.password === '' ? url : undefined;
}

function parsedPrefix(prefix: string): URL {
  const url = plainUrl(prefix);
  if (url !== undefined) return url;
  throw new CkptfsError('bad-argument', `${prefix} is not the beginning of a plain https URL`);
}

/** Compares as URLs, so that neither `..` nor another way to write a host leads elsewhere. */
function isBelow(text: string, prefix: URL): boolean {
  const url = plainUrl(text);
  const directory = prefix.pathname.endsWith('/') ? prefix.pathname : `${prefix.pathname}/`;
  if (url?.origin !== prefix.origin) return false;
  return url.pathname === prefix.pathname || url.pathname.startsWith(directory);
}

/** Makes the error of the first URL that failed say that others were not asked. */
function outOfTime([first]: readonly CkptfsError[], left: number): CkptfsError {
  const others = left === 1 ? '1 more URL was' : `${left} more URLs were`;
  const data = { reason: 'timeout' } as const;
  const problem = first === undefined ? 'no key in time' : first.message;
  return new CkptfsError('key-unavailable', `${problem}; ${others} not asked`, { data, cause: first });
}
