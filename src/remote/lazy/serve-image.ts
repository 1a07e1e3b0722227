import { setMaxListeners } from 'node:events';
import { CkptfsError, isFull } from '../../base/errors.ts';
import { settleable } from '../../base/settleable.ts';
import type { BlockTable } from '../../format/block-table.ts';
import { encodeRemoteIndex, type RemoteIndex } from '../../format/remote-index.ts';
import { withRemote } from '../open-remote.ts';
import { sha256Hex } from '../shared/digest.ts';
import { unavailable } from '../shared/faults.ts';
import type { RemoteStore } from '../shared/remote-store.ts';
import { BlockCache } from './block-cache.ts';
import { CacheDirectory } from './cache-directory.ts';
import { Eviction } from './eviction.ts';
import { newCounters } from './fetch-counters.ts';
import type { FetcherOrder, FetcherReady } from './fetcher-order.ts';
import { BACKGROUND_REQUESTS, ImageBlocks } from './image-blocks.ts';
import { blocksIn } from './plan-runs.ts';
import { blocksOfProfile, readProfileFile, within } from './prefetch.ts';
import { Clients } from './serve-client.ts';
import { SocketServer } from './socket-server.ts';
import { prepareStub } from './stub.ts';

const DEFAULT_PATIENCE_SECONDS = 60;
/** How much of the cache is filled before readers come. */
const PREFETCHED_PART = 0.9;
/** How much of it what is fetched ahead of one reader may take, so that others do not push it out before it is read. */
const AHEAD_PART = 1 / 8;

/** What a fetcher lives for. */
export interface FetcherLife {
  /** Ends everything that is going on when it is aborted. It is aborted when all is over. */
  readonly life: AbortController;
  /** Resolves when the command that wants the image has ended; clients may be there longer. */
  readonly commandIsGone: Promise<void>;
  readonly onReady: (ready: FetcherReady) => void;
}

/**
 * Serves the blocks of an image until the command and all clients are gone.
 * @throws CkptfsError `bad-argument`, `store-unavailable`, `wrong-image`, `damaged`, `io`, `exists`, `interrupted`
 */
export async function serveImage(order: FetcherOrder, life: FetcherLife): Promise<void> {
  const { url, remote, cache: place } = order;
  // Each request listens, and each wait for another process.
  setMaxListeners(0, life.life.signal);
  const options = { ...remote, jobs: remote.jobs + BACKGROUND_REQUESTS, signal: life.life.signal };
  await withRemote(url, options, async (store) => {
    const cache = CacheDirectory.open(place.directory);
    try {
      await serveFrom(store, cache, order, life);
    } finally {
      cache.close();
    }
  });
}

async function serveFrom(store: RemoteStore, cache: CacheDirectory, order: FetcherOrder, life: FetcherLife) {
  const index = await readIndex(store, order.imageId);
  const profile = profileOf(order, store);
  const { signal } = life.life;
  const patienceMilliseconds = 1000 * (order.remote.timeoutSeconds ?? DEFAULT_PATIENCE_SECONDS);
  const stub = await prepareStub(store, index, cache, { signal, milliseconds: patienceMilliseconds });
  try {
    const eviction = new Eviction(cache, order.cache.size);
    const image = {
      remote: store,
      index,
      table: stub.table,
      imageId: index.imageId,
      room: (order.cache.size * AHEAD_PART) / stub.table.blockSize,
      indexDigest: sha256Hex(encodeRemoteIndex(index)),
      cache: new BlockCache(cache.blocks, {
        wrote: (bytes) => eviction.wrote(bytes),
        failed: (error) => {
          clients.log('warning', `${error.message}: blocks that are fetched are not kept`);
          if (isFull(error)) eviction.noRoom();
        },
      }),
      locks: cache,
      counters: newCounters(),
      signal,
      patienceMilliseconds,
    };
    const blocks = new ImageBlocks(image);
    const clients = new Clients(blocks);
    const prefetched = async (): Promise<void> => {
      const wanted = await wantedBlocks(order, profile, image.indexDigest, stub.table);
      await blocks.prefetch(within(order.cache.size * PREFETCHED_PART, wanted, stub.table));
    };
    await serveClients(cache, clients, life, (socket) => {
      const { image: directory, table } = stub;
      const ready = { image: directory, socket, cache: cache.path, imageId: index.imageId, blocks: table.count };
      life.onReady(ready);
      prefetched().catch((error) => clients.log('warning', `${String(error.message)}: nothing is fetched in advance`));
    });
    await eviction.run();
  } finally {
    stub.release();
  }
}

/** Answers clients until they and the command are gone. @param onListening is given the path of the socket */
async function serveClients(
  cache: CacheDirectory,
  clients: Clients,
  { life, commandIsGone }: FetcherLife,
  onListening: (socket: string) => void,
): Promise<void> {
  const over = settleable<void>();
  let isCommandGone = false;
  const isLeft = (): boolean => isCommandGone && server.isIdle;
  const endIfLeft = (): void => {
    // A daemon may have connected before the command ended, and not be accepted yet: two turns of the event loop later
    // all that had connected by now are.
    if (isLeft()) setImmediate(() => setImmediate(() => isLeft() && over.resolve()));
  };
  life.signal.addEventListener('abort', () => over.resolve(), { once: true });
  const server = await SocketServer.open(cache, (client) => clients.serve(client), endIfLeft);
  try {
    onListening(server.path);
    void commandIsGone.then(() => {
      isCommandGone = true;
      endIfLeft();
    });
    if (!life.signal.aborted) await over.promise;
  } finally {
    server.close();
    life.abort();
  }
}

async function readIndex(store: RemoteStore, imageId: string | undefined): Promise<RemoteIndex> {
  const index = await store.readIndex();
  if (index === undefined) throw unavailable(store.location, 'absent', 'there is no image');
  if (imageId !== undefined && imageId !== index.imageId)
    throw new CkptfsError('wrong-image', `${store.location} has image ${index.imageId}, not ${imageId}`, {
      data: { reason: 'other-id' },
    });
  return index;
}

/** Begins to read the access profile that is wanted. @throws CkptfsError `io`, `bad-argument` for a file of the user */
function profileOf({ prefetch }: FetcherOrder, store: RemoteStore): Promise<Buffer | undefined> {
  if (prefetch.kind === 'file') return Promise.resolve(readProfileFile(prefetch.path));
  const read = prefetch.kind === 'profile' ? store.readProfile() : Promise.resolve(undefined);
  // It may fail before it is waited for.
  read.catch(() => undefined);
  return read;
}

/** @throws CkptfsError `store-unavailable`; MalformedError */
async function wantedBlocks(
  { prefetch }: FetcherOrder,
  profile: Promise<Buffer | undefined>,
  indexDigest: string,
  { count }: BlockTable,
): Promise<Iterable<number>> {
  if (prefetch.kind === 'all') return blocksIn({ first: 0, end: count });
  const bytes = await profile;
  return bytes === undefined ? [] : blocksOfProfile(bytes, indexDigest, count);
}
