import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { Counters } from '../../base/counters.ts';
import { CkptfsError, toPlainError } from '../../base/errors.ts';
import { Secret } from '../../crypto/secret.ts';
import { Connection } from '../../fuse/device/connection.ts';
import { PollingToken, serve } from '../../fuse/device/device-loop.ts';
import type { Level } from '../mounts/log.ts';
import { type OpenTree, openTree } from './open-tree.ts';
import { openWritableTree } from './open-writable-tree.ts';
import type { WorkerMessage, WorkerOrder, WorkerSetup } from './worker-messages.ts';

/** A serving thread: opens the image, waits for the device, serves it until the mount is gone, seals what it wrote, wipes. */
function runServing(port: MessagePort, setup: WorkerSetup): void {
  const tell = (message: WorkerMessage): void => port.postMessage(message);
  let opened: OpenTree | undefined;
  let isDone = false;
  port.on('message', (order: WorkerOrder) => {
    if (isDone) return;
    if (order.kind !== 'end') opened ??= open(setup, tell);
    if (order.kind === 'open' && opened !== undefined) return;
    try {
      if (order.kind === 'serve' && opened !== undefined) {
        serve(order.fd, connectionTo(opened, setup, tell), new PollingToken(setup.memory.turn));
      }
    } catch (error) {
      tell({ kind: 'log', level: 'error', text: toPlainError(error).message });
    } finally {
      isDone = true;
      if (opened !== undefined) end(opened, tell);
      tell({ kind: 'ended' });
    }
  });
}

/** Undefined when it could not be opened, which is then told. */
function open(setup: WorkerSetup, tell: (message: WorkerMessage) => void): OpenTree | undefined {
  const { store, cacheSize, rootMode } = setup;
  try {
    const log = (level: Level, text: string): void => tell({ kind: 'log', level, text });
    const imageKey = Secret.fromShared(setup.imageKey);
    const counters = new Counters(setup.memory.image);
    const opened = setup.write
      ? openWritableTree(store, imageKey, { cacheSize, rootMode }, counters, log)
      : openTree(store, imageKey, { cacheSize, rootMode }, counters, (line) => log('error', line));
    tell({ kind: 'ready', image: opened.image });
    return opened;
  } catch (error) {
    tell({ kind: 'failed', error: toPlainError(error) });
    return undefined;
  }
}

/** Also of a mount that never came about: an image that was only opened is sealed again as well. */
function end(opened: OpenTree, tell: (message: WorkerMessage) => void): void {
  try {
    if (opened.seal !== undefined) {
      tell({ kind: 'sealing' });
      opened.seal();
      tell({ kind: 'sealed' });
    }
  } catch (error) {
    tell({ kind: 'unsealed', error: toPlainError(error) });
  } finally {
    opened.close();
  }
}

function connectionTo({ tree }: OpenTree, setup: WorkerSetup, tell: (message: WorkerMessage) => void): Connection {
  return new Connection(tree, {
    counters: new Float64Array(setup.memory.connection),
    ...(setup.onlyUid === undefined ? {} : { onlyUid: setup.onlyUid }),
    onError: (error, operation, node) => {
      const { message, stack } = toPlainError(error);
      if (operation === 'INIT') tell({ kind: 'refused', text: message });
      tell({ kind: 'log', level: 'error', text: `${operation} of node ${node} failed: ${stack ?? message}` });
    },
  });
}

/**
 * Runs the serving thread that this thread was started as.
 * @throws CkptfsError `internal` outside a worker thread
 */
export function runServingThread(): void {
  if (parentPort === null) throw new CkptfsError('internal', 'not a serving thread');
  runServing(parentPort, workerData as WorkerSetup);
}
