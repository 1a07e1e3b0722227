import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { Counters } from '../../base/counters.ts';
import { CkptfsError, toPlainError } from '../../base/errors.ts';
import { Secret } from '../../crypto/secret.ts';
import { Connection } from '../../fuse/device/connection.ts';
import { PollingToken, serve } from '../../fuse/device/device-loop.ts';
import { abandonRings, type RingConnectionOptions, serveRings } from '../../fuse/uring/serve-rings.ts';
import { KeyLock, lockFollower, ThreadWipe } from './key-lock.ts';
import { type OpenServed, type OpenTree, openTree, type TreeOptions } from './open-tree.ts';
import { openWritableTree } from './open-writable-tree.ts';
import { ringReader } from './ring-of-thread.ts';
import type { KnownImage, LogLevel, ThreadMessage, ThreadOrder, ThreadSetup } from './thread-messages.ts';
import { WaitingLines } from './waiting-lines.ts';

type Send = (message: ThreadMessage) => void;

/**
 * Runs the serving thread that this thread was started as: it opens the image, waits for the device, serves it until
 * the mount is gone, seals what was written, and wipes.
 * @param openToRead opens an image that is only read
 * @throws CkptfsError `internal` outside a worker thread
 */
export function runServingThread(openToRead: OpenServed = openTree): void {
  if (parentPort === null) throw new CkptfsError('internal', 'not a serving thread');
  followOrders(parentPort, workerData as ThreadSetup, openToRead);
}

function followOrders(port: MessagePort, setup: ThreadSetup, openToRead: OpenServed): void {
  const lines = new WaitingLines(setup.memory.lines);
  const send: Send = (message) => {
    if (message.kind !== 'log' || lines.tryAdd()) port.postMessage(message);
  };
  let opened: OpenTree | undefined;
  let isDone = false;
  port.on('message', (order: ThreadOrder) => {
    if (isDone) return;
    if (order.kind !== 'end') opened ??= open(setup, order.known, openToRead, send);
    if (order.kind === 'open' && opened !== undefined) return;
    try {
      if (order.kind === 'serve' && opened !== undefined) {
        serveMount(order.fd, opened, setup, send);
      }
    } catch (error) {
      send({ kind: 'log', level: 'error', text: toPlainError(error).message });
    } finally {
      isDone = true;
      if (opened !== undefined) end(opened, send);
      send({ kind: 'ended' });
    }
  });
}

/** Opens the image and reports the outcome. Returns undefined when that failed. */
function open(
  setup: ThreadSetup,
  known: KnownImage | undefined,
  openToRead: OpenServed,
  send: Send,
): OpenTree | undefined {
  const { store, cacheSize, pageFiles, rootMode, manifestDigest, ephemeral } = setup;
  const demanded = manifestDigest && { manifestDigest };
  try {
    const log = (level: LogLevel, text: string): void => send({ kind: 'log', level, text });
    const imageKey = Secret.fromShared(setup.imageKey);
    const counters = new Counters(setup.memory.image);
    const opened = setup.write
      ? openWritableTree(store, imageKey, { cacheSize, pageFiles, rootMode, ephemeral }, counters, log)
      : openToRead(
          store,
          imageKey,
          {
            ...{ cacheSize, pageFiles, rootMode, known: demanded ?? known, isLocked: lockedBy(setup) },
            lazy: lazyOf(setup),
          },
          counters,
          (line) => log('error', line),
        );
    send({ kind: 'ready', image: opened.image });
    return opened;
  } catch (error) {
    if (setup.rings !== undefined) abandonRings(setup.rings);
    send({ kind: 'failed', error: toPlainError(error) });
    return undefined;
  }
}

/** Returns what this thread reads an image in a remote store by. */
function lazyOf({ remote, number }: ThreadSetup): TreeOptions['lazy'] {
  const connection = remote?.connections[number];
  return remote === undefined || connection === undefined ? undefined : { ...remote, connection };
}

function lockedBy({ keyLock }: ThreadSetup): () => boolean {
  const lock = new KeyLock(keyLock);
  return () => lock.isLocked;
}

/** Seals a writable image, also when it was opened and never mounted, and wipes. */
function end(opened: OpenTree, send: Send): void {
  try {
    if (opened.seal !== undefined) {
      send({ kind: 'sealing' });
      opened.seal();
      send({ kind: 'sealed' });
    }
  } catch (error) {
    send({ kind: 'unsealed', error: toPlainError(error) });
  } finally {
    opened.close();
  }
}

function serveMount(fd: number, opened: OpenTree, setup: ThreadSetup, send: Send): void {
  const token = new PollingToken(setup.memory.token);
  if (setup.rings === undefined) {
    serveDevice(fd, opened, setup, send, token);
    return;
  }
  const service = {
    connect: (options: RingConnectionOptions) => connectionTo(opened, setup, send, options),
    onServing: (overRing: boolean) => send({ kind: 'initialized', overRing }),
    onRefusal: (why: string) => send({ kind: 'no-rings', why }),
    onFailure: (error: unknown) =>
      send({ kind: 'log', level: 'warning', text: `a serving thread has no io_uring: ${toPlainError(error).message}` }),
  };
  try {
    serveRings(fd, setup.rings, service, token);
  } catch (error) {
    send({ kind: 'broken' });
    throw error;
  }
}

/** Serves the device itself, and wipes whenever the mount is locked. */
function serveDevice(fd: number, opened: OpenTree, setup: ThreadSetup, send: Send, token: PollingToken): void {
  const own = new ThreadWipe(setup.memory.wipe);
  const follow = lockFollower(new KeyLock(setup.keyLock), own, () => {
    opened.wipe?.();
    connection.wipe();
  });
  const connection = connectionTo(opened, setup, send, {}, follow);
  own.begin();
  try {
    serve(fd, connection, token);
  } finally {
    own.end();
  }
}

function connectionTo(
  { tree, aheadSource }: OpenTree,
  setup: ThreadSetup,
  send: Send,
  options: RingConnectionOptions = {},
  onSettled?: () => void,
): Connection {
  return new Connection(tree, {
    // Over io_uring a reply must be in the memory of its entry.
    readAhead:
      options.replyMemory === undefined
        ? ringReader(setup.ahead, aheadSource, setup.memory, () => send({ kind: 'reads-ahead' }))
        : undefined,
    counters: new Float64Array(setup.memory.connection),
    ...(setup.onlyUid === undefined ? {} : { onlyUid: setup.onlyUid }),
    onInit: (overRing) => send({ kind: 'initialized', overRing }),
    ...options,
    ...(onSettled === undefined ? {} : { onSettled }),
    onError: (error, operation, node) => {
      const { message, stack } = toPlainError(error);
      if (operation === 'INIT') send({ kind: 'refused', text: message });
      send({ kind: 'log', level: 'error', text: `${operation} of node ${node} failed: ${stack ?? message}` });
    },
  });
}
