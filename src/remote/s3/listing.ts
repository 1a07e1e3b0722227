import { garbage } from '../shared/faults.ts';

/** One page of what a bucket has below a prefix. */
export interface S3Page {
  readonly keys: readonly string[];
  /** What is below a name that ends with a slash, where it was asked so. */
  readonly prefixes: readonly string[];
  /** Asks for the next page; undefined on the last one. */
  readonly next: string | undefined;
}

/**
 * Reads a page of ListObjectsV2 that was asked for with `encoding-type=url`, so that keys have no escapes of XML.
 * @throws CkptfsError `store-unavailable`
 */
export function parsePage(location: string, text: string): S3Page {
  if (!/<ListBucketResult[\s>]/.test(text)) throw garbage(location, 'the server answers something else than a listing');
  const keys = [...text.matchAll(/<Key>([^<]{1,4096})<\/Key>/g)].map(([, key = '']) => decoded(location, key));
  const prefixes = [...text.matchAll(/<CommonPrefixes>\s*<Prefix>([^<]{1,4096})<\/Prefix>/g)].map(([, prefix = '']) =>
    decoded(location, prefix),
  );
  const isTruncated = /<IsTruncated>\s*true\s*<\/IsTruncated>/.test(text);
  const token = /<NextContinuationToken>([^<]{1,4096})<\/NextContinuationToken>/.exec(text)?.[1];
  if (isTruncated && token === undefined) throw garbage(location, 'the server ends a listing before its end');
  return { keys, prefixes, next: isTruncated && token !== undefined ? unescaped(token) : undefined };
}

function decoded(location: string, text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw garbage(location, 'the server lists a name that is not one');
  }
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function unescaped(text: string): string {
  return text.replace(/&(amp|lt|gt|quot|apos);/g, (_, name: string) => ENTITIES[name] ?? '');
}
