import { isAbsolute } from 'node:path';
import { CkptfsError, fromPlainError, isPlainError, type PlainError } from '../../base/errors.ts';
import { parseObject } from '../shared/json-object.ts';

/** Bytes of the line that a fetcher reads, and of the one that it writes. */
export const MAX_ORDER_SIZE = 65_536;

/** What a fetcher is to do: one line of JSON on its standard input, which stays open until the command ends. */
export interface FetcherOrder {
  /** The image: `s3://…` or `oci://…`. */
  readonly url: string;
  readonly remote: {
    readonly timeoutSeconds?: number;
    /** Absolute. */
    readonly caFile?: string;
    readonly s3Endpoint?: string;
    readonly s3Region?: string;
    readonly plainHttp?: boolean;
    /** Requests at a time for blocks that are waited for. */
    readonly jobs: number;
  };
  /** An absolute path, and how many bytes of blocks may be there. */
  readonly cache: { readonly directory: string; readonly size: number };
  readonly prefetch: Prefetch;
  /** Refuses an image with another id; 32 hexadecimal digits. */
  readonly imageId?: string;
}

/** What is fetched in the background: what an access profile lists, the stored one or that of an absolute path; all. */
export type Prefetch = { readonly kind: 'profile' | 'all' | 'none' } | { readonly kind: 'file'; readonly path: string };

/** A fetcher that serves. */
export interface FetcherReady {
  /** The absolute path of an image directory without objects. */
  readonly image: string;
  /**
   * The absolute path of its socket, which may be too long to connect to: then the directory that it is in is opened,
   * and the path leads through `/proc/self/fd`.
   */
  readonly socket: string;
  /** The absolute path of the cache directory. */
  readonly cache: string;
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** Blocks of the image. */
  readonly blocks: number;
}

/** What a fetcher writes: one line of JSON on its standard output. */
export type FetcherReport = { readonly ready: FetcherReady } | { readonly failed: PlainError };

/** @throws CkptfsError `bad-argument` for what is no order */
export function parseFetcherOrder(line: string): FetcherOrder {
  const order = parseObject(line);
  if (order === undefined || !isOrder(order)) throw new CkptfsError('bad-argument', 'the fetcher got no order');
  return order;
}

/**
 * Parses the report of a fetcher, which has heard what a server says.
 * @throws CkptfsError `internal` for what is no report; what the fetcher failed with
 */
export function parseFetcherReport(line: string): FetcherReady {
  const { ready, failed } = members(parseObject(line), ['ready', 'failed']);
  if (isPlainError(failed)) throw fromPlainError(failed);
  if (isReady(ready)) return ready;
  throw new CkptfsError('internal', 'the fetcher did not say whether it serves');
}

function isOrder(value: object): value is FetcherOrder {
  const { url, remote, cache, prefetch, imageId } = members(value, ['url', 'remote', 'cache', 'prefetch', 'imageId']);
  const isRight = typeof url === 'string' && isRemote(remote) && isCache(cache) && isPrefetch(prefetch);
  return isRight && (imageId === undefined || isImageId(imageId));
}

function isRemote(value: unknown): boolean {
  const names = ['timeoutSeconds', 'caFile', 's3Endpoint', 's3Region', 'plainHttp', 'jobs'] as const;
  const { timeoutSeconds, caFile, s3Endpoint, s3Region, plainHttp, jobs } = members(value, names);
  const isOptional = (given: unknown, type: string): boolean => given === undefined || typeof given === type;
  return (
    isOptional(timeoutSeconds, 'number') &&
    (caFile === undefined || isPath(caFile)) &&
    isOptional(s3Endpoint, 'string') &&
    isOptional(s3Region, 'string') &&
    isOptional(plainHttp, 'boolean') &&
    isCount(jobs) &&
    jobs > 0
  );
}

function isCache(value: unknown): boolean {
  const { directory, size } = members(value, ['directory', 'size']);
  return isPath(directory) && isCount(size);
}

function isPrefetch(value: unknown): boolean {
  const { kind, path } = members(value, ['kind', 'path']);
  return kind === 'file' ? isPath(path) : ['profile', 'all', 'none'].some((known) => known === kind);
}

function isReady(value: unknown): value is FetcherReady {
  const { image, socket, cache, imageId, blocks } = members(value, ['image', 'socket', 'cache', 'imageId', 'blocks']);
  return [image, socket, cache].every(isPath) && isImageId(imageId) && isCount(blocks);
}

/** Returns own members of what may be no object. */
function members<Name extends string>(value: unknown, names: readonly Name[]): Partial<Record<Name, unknown>> {
  if (typeof value !== 'object' || value === null) return {};
  const found: Partial<Record<Name, unknown>> = {};
  for (const name of names) if (Object.hasOwn(value, name)) found[name] = Reflect.get(value, name);
  return found;
}

function isPath(value: unknown): boolean {
  return typeof value === 'string' && isAbsolute(value) && !value.includes('\0');
}

function isImageId(value: unknown): boolean {
  return typeof value === 'string' && /^[0-9a-f]{32}$/.test(value);
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
