import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { Argv } from 'yargs';
import { absolutePath } from '../../base/current-directory.ts';
import { CkptfsError } from '../../base/errors.ts';
import type { FetcherOrder, Prefetch } from '../../remote/lazy/fetcher-order.ts';
import type { MountOptions } from '../../serve/launch/checked-options.ts';
import { withFetcher } from '../../serve/launch/fetcher-process.ts';
import type { ImagePlace } from '../../stores/open-store.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { refuseNewImageOptions } from './new-image-options.ts';
import { bytesFrom } from './options.ts';
import { DEFAULT_JOBS, type RemoteArguments, withRemoteOptions } from './remote-options.ts';

/** Arguments of a command that mounts an image in a remote store. */
export interface LazyArguments extends RemoteArguments {
  readonly ENC: string;
  readonly imageId: string | undefined;
  readonly remoteCache: string | undefined;
  /** Bytes. */
  readonly remoteCacheSize: number | undefined;
  readonly prefetch: string | undefined;
}

const DEFAULT_CACHE_SIZE = 10 * 2 ** 30;
const prefetchKinds = ['profile', 'all', 'none'] as const;

/** Adds the options of mount and exec that say how an image in a remote store is read. */
export function withLazyOptions<T>(yargs: Argv<T>) {
  return withRemoteOptions(yargs)
    .option('remote-cache', {
      type: 'string',
      nargs: 1,
      describe: 'Directory that keeps what was fetched of a URL, for all mounts; see FILES in the manual',
    })
    .option('remote-cache-size', {
      type: 'string',
      nargs: 1,
      coerce: (text: string) => bytesFrom('--remote-cache-size', text),
      describe: 'How much that directory may keep, such as 50G; 10G unless told',
    })
    .option('prefetch', {
      type: 'string',
      nargs: 1,
      describe: 'What of a URL is fetched ahead: profile, the default, a FILE with one, all, or none',
    });
}

/** An image in a remote store, of which a process fetches what is read. */
interface RemoteImage {
  /** What the image is opened by. */
  readonly place: ImagePlace;
  /** What it is mounted by. */
  readonly source: Pick<MountOptions, 'location' | 'remote'>;
}

/**
 * Does something with the image at the URL in the place of a directory.
 * @throws CkptfsError `bad-argument` for what such an image cannot do, `store-unavailable`, `damaged`, `wrong-image`,
 *   `not-an-image`, `io`; what `work` throws
 */
export async function withRemoteImage<T>(
  args: LazyArguments & Parameters<typeof refuseNewImageOptions>[0],
  { write = false, verify = false }: { readonly write?: boolean | undefined; readonly verify?: boolean },
  work: (image: RemoteImage) => Promise<T>,
): Promise<T> {
  const { ENC: url } = args;
  if (write) throw new CkptfsError('bad-argument', `${url} is in a remote store: it is only read`);
  if (verify)
    throw new CkptfsError('bad-argument', `${url} would be fetched whole to be verified: pull it, and verify that`);
  refuseNewImageOptions(args);
  return withFetcher(fetcherOrder(args), ({ image, socket, cache }) =>
    work({ place: { path: image, name: url }, source: { location: image, remote: { url, socket, cache } } }),
  );
}

/** Refuses options of remote stores for an image in a directory. @throws CkptfsError `bad-argument` */
export function refuseLazyOptions(args: LazyArguments): void {
  const name = lazyOptionIn(args);
  if (name === undefined) return;
  throw new CkptfsError('bad-argument', `${name} is for an image in a remote store, and ${args.ENC} is a directory`);
}

/** Returns an option of remote stores that is given; undefined when there is none. */
export function lazyOptionIn(args: Omit<LazyArguments, 'ENC' | 'imageId'>): string | undefined {
  const given: Readonly<Record<string, unknown>> = {
    '--jobs': args.jobs,
    '--s3-endpoint': args.s3Endpoint,
    '--s3-region': args.s3Region,
    '--plain-http': args.plainHttp || undefined,
    '--remote-ca-file': args.remoteCaFile,
    '--remote-timeout': args.remoteTimeout,
    '--remote-cache': args.remoteCache,
    '--remote-cache-size': args.remoteCacheSize,
    '--prefetch': args.prefetch,
  };
  return Object.entries(given).find(([, value]) => value !== undefined)?.[0];
}

function fetcherOrder(args: LazyArguments): FetcherOrder {
  const { ENC: url, imageId, remoteTimeout: timeoutSeconds, s3Endpoint, s3Region, plainHttp } = args;
  const caFile = args.remoteCaFile && absolutePath(args.remoteCaFile);
  return {
    url,
    remote: {
      ...omitUndefined({ timeoutSeconds, caFile, s3Endpoint, s3Region }),
      plainHttp,
      jobs: args.jobs ?? DEFAULT_JOBS,
    },
    cache: {
      directory: args.remoteCache === undefined ? defaultCache() : absolutePath(args.remoteCache),
      size: args.remoteCacheSize ?? DEFAULT_CACHE_SIZE,
    },
    prefetch: prefetchOf(args.prefetch ?? 'profile'),
    ...omitUndefined({ imageId }),
  };
}

function prefetchOf(text: string): Prefetch {
  const kind = prefetchKinds.find((known) => known === text);
  return kind === undefined ? { kind: 'file', path: absolutePath(text) } : { kind };
}

/** Returns /var/cache/ckptfs for root; for others a directory below what the XDG base directory specification says. */
function defaultCache(): string {
  if (process.geteuid?.() === 0) return '/var/cache/ckptfs';
  const configured = process.env['XDG_CACHE_HOME'];
  const caches = configured !== undefined && isAbsolute(configured) ? configured : join(homedir(), '.cache');
  return join(caches, 'ckptfs', 'remote');
}
