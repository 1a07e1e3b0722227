import { CkptfsError } from '../../base/errors.ts';
import type { Slot } from '../../format/slot.ts';
import type { Identity, OpenedSlot } from '../provider.ts';
import { openKeySource } from './registry.ts';
import type { SourceOptions } from './source.ts';
import { sourceProvider } from './source-provider.ts';

/** URLs of one image that are followed at most: an attacker who has the storage can write slots. */
const MAX_FETCHES = 8;

/**
 * Parts of a URL that choose more than a path, or that servers read as another path than we do: a query, a fragment, a
 * backslash, and `/`, `\`, `.` and `%` that are written as escapes, an empty directory, and `..;` (path parameters).
 */
const AMBIGUOUS = /[?#\\]|%(?:2f|5c|2e|25)|[^:]\/\/|\/\.{1,2};/i;

/**
 * Makes an identity that fetches keys from the URLs in slots, those alone that the user allows. A URL that fails does
 * not keep the others from being tried; if no key opens the image, the first failure is thrown.
 * @param prefixes beginnings of https URLs: the same server, and a whole path or the directories that lead to it
 * @throws CkptfsError `bad-argument` for a prefix that is not an https URL
 */
export function urlIdentity(prefixes: readonly string[], options: SourceOptions): Identity {
  const allowed = prefixes.map(parsedPrefix);
  return {
    source: `a key below ${prefixes.join(', ')}`,
    unwrap: async (slots, imageId) => {
      const urls = new Set(slots.flatMap(({ header }) => header?.url ?? []).filter((url) => isBelow(url, allowed)));
      const failures: CkptfsError[] = [];
      for (const url of [...urls].slice(0, MAX_FETCHES)) {
        try {
          const opened = await openFrom(url, slots, imageId, options);
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
function isBelow(text: string, prefixes: readonly URL[]): boolean {
  const url = plainUrl(text);
  if (url === undefined) return false;
  const { origin, pathname } = url;
  return prefixes.some((prefix) => {
    const directory = prefix.pathname.endsWith('/') ? prefix.pathname : `${prefix.pathname}/`;
    return origin === prefix.origin && (pathname === prefix.pathname || pathname.startsWith(directory));
  });
}
