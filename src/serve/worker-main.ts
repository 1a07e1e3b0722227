import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { Counters } from '../base/counters.ts';
import { CkptfsError, toPlainError } from '../base/errors.ts';
import { Secret } from '../crypto/secret.ts';
import { Connection } from '../fuse/connection.ts';
import { serve } from '../fuse/device-loop.ts';
import { type OpenTree, openTree } from './open-tree.ts';
import type { ServeOrder, WorkerMessage, WorkerSetup } from './worker-messages.ts';

/** A serving thread: opens the image, waits for the device, serves it until the mount is gone, wipes, ends. */
function main(port: MessagePort, setup: WorkerSetup): void {
  const tell = (message: WorkerMessage): void => port.postMessage(message);
  let opened: OpenTree;
  try {
    const counters = new Counters(setup.memory.image);
    const onDamage = (text: string): void => tell({ kind: 'log', level: 'error', text });
    opened = openTree(setup.location, Secret.fromShared(setup.imageKey), setup.cacheSize, counters, onDamage);
  } catch (error) {
    tell({ kind: 'failed', error: toPlainError(error) });
    port.close();
    return;
  }
  tell({ kind: 'ready', image: opened.image });
  port.once('message', (order: ServeOrder) => {
    try {
      if (order !== null) serve(order, connectionTo(opened, setup, tell));
    } catch (error) {
      tell({ kind: 'log', level: 'error', text: toPlainError(error).message });
    } finally {
      opened.close();
      port.close();
    }
  });
}

function connectionTo({ tree }: OpenTree, setup: WorkerSetup, tell: (message: WorkerMessage) => void): Connection {
  return new Connection(tree, {
    counters: new Float64Array(setup.memory.connection),
    ...(setup.onlyUid === undefined ? {} : { onlyUid: setup.onlyUid }),
    onFault: (error, operation, node) => {
      const { message, stack } = toPlainError(error);
      if (operation === 'INIT') tell({ kind: 'refused', text: message });
      tell({ kind: 'log', level: 'error', text: `${operation} of node ${node} failed: ${stack ?? message}` });
    },
  });
}

if (parentPort === null) throw new CkptfsError('internal', 'not a serving thread');
main(parentPort, workerData as WorkerSetup);
