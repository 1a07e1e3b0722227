import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { closeDescriptor } from '../../../../src/base/linux/descriptors.ts';
import { socketPair } from '../../../../src/base/linux/sockets.ts';
import { ThreadWipe } from '../../../../src/serve/thread/key-lock.ts';

/** Wakes a thread, prints `woken`, waits; lets it wipe, prints `wiped`, waits; lets it end, and prints `ended`. */

/** What the thread is given. */
export interface WokenThread {
  readonly fd: number;
  /** The secret, with each bit inverted. */
  readonly inverted: Uint8Array;
  readonly words: SharedArrayBuffer;
  /** How far the thread is: 1 before it waits, 2 after it was woken; and whether it may wipe. */
  readonly steps: Int32Array;
}

async function say(word: string): Promise<void> {
  process.stdout.write(`${word}\n`);
  await new Promise((resume) => process.stdin.once('data', resume));
}

const [fd, other] = socketPair();
const words = new SharedArrayBuffer(ThreadWipe.byteLength);
const steps = new Int32Array(new SharedArrayBuffer(8));
const inverted = Buffer.from(process.argv[2] ?? '', 'hex');
const module = JSON.stringify(new URL('woken-thread.ts', import.meta.url).href);
const program = `import('tsx/esm/api').then(({ register }) => register()).then(() => import(${module}));`;
const worker = new Worker(program, { eval: true, workerData: { fd, inverted, words, steps } satisfies WokenThread });
const ended = once(worker, 'message');
const wipeOf = new ThreadWipe(words);

async function wakeUntil(isSo: () => boolean): Promise<void> {
  while (!isSo()) {
    if (Atomics.load(steps, 0) > 0) wipeOf.wake(1);
    await sleep(1);
  }
}

await wakeUntil(() => Atomics.load(steps, 0) === 2);
await say('woken');
Atomics.store(steps, 1, 1);
await wakeUntil(() => wipeOf.hasWiped(1));
// Nothing is to be saved anew by those.
for (let more = 0; more < 1000; more++) wipeOf.wake(1);
await say('wiped');
closeDescriptor(other);
await ended;
wipeOf.wake(2);
await say('ended');
process.exit();
