import { CkptfsError } from '../../base/errors.ts';
import type { Slot } from '../../format/slot.ts';
import type { Identity, OpenedSlot } from '../provider.ts';
import { openKeySource } from './registry.ts';
import type { SourceOptions } from './source.ts';
import { sourceProvider } from './source-provider.ts';

/** URLs of one image that are followed at most: an attacker who has the storage can write slots. */
const MAX_FETCHES = 8;

/**
 * Makes an identity that fetches keys from the URLs in slots, those alone that the user allows.
 * @param prefixes beginnings of https URLs: the same server, and a whole path or the directories that lead to it
 * @throws CkptfsError `bad-argument` for a prefix that is not an https URL
 */
export function urlIdentity(prefixes: readonly string[], options: SourceOptions): Identity {
  const allowed = prefixes.map(parsedPrefix);
  return {
    source: `a key below ${prefixes.join(', ')}`,
    unwrap: async (slots, imageId) => {
      const urls = new Set(slots.flatMap(({ header }) => header?.url ?? []).filter((url) => isBelow(url, allowed)));
      for (const url of [...urls].slice(0, MAX_FETCHES)) {
        const opened = await openFrom(url, slots, imageId, options);
        if (opened !== undefined) return opened;
      }
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

function parsedPrefix(prefix: string): URL {
  const url = URL.canParse(prefix) ? new URL(prefix) : undefined;
  if (url?.protocol === 'https:' && url.search === '' && url.hash === '') return url;
  throw new CkptfsError('bad-argument', `${prefix} is not the beginning of an https URL`);
}

/** Compares as URLs, so that neither `..` nor another way to write a host leads elsewhere. */
function isBelow(text: string, prefixes: readonly URL[]): boolean {
  if (!URL.canParse(text)) return false;
  const { origin, pathname, username, password } = new URL(text);
  if (username !== '' || password !== '') return false;
  return prefixes.some((prefix) => {
    const directory = prefix.pathname.endsWith('/') ? prefix.pathname : `${prefix.pathname}/`;
    return origin === prefix.origin && (pathname === prefix.pathname || pathname.startsWith(directory));
  });
}
