import { parentPort, workerData } from 'node:worker_threads';
import { readDevice } from '../../../../src/base/linux/devices.ts';
import { bind, Region } from '../../../../src/base/linux/native.ts';
import { ThreadWipe } from '../../../../src/serve/thread/key-lock.ts';
import type { WokenThread } from './woken-thread-child.ts';

/** Copies a secret, wipes both, and then waits at a descriptor like a serving thread. */

const { fd, inverted, words, steps } = workerData as WokenThread;
const own = new ThreadWipe(words);
const memcpy = bind('memcpy', 'uintptr_t', ['uintptr_t', 'uintptr_t', 'size_t']);
const [from, to, request] = [new Region(300), new Region(300), new Region(64)];

own.begin();
for (let at = 0; at < from.length; at++) from.bytes[at] = ~(inverted[at % inverted.length] ?? 0);
memcpy(to.address, from.address, from.length);
// By no function of the C library, which would use the same registers.
for (let at = 0; at < from.length; at++) from.bytes[at] = to.bytes[at] = 0;
Atomics.store(steps, 0, 1);
while (readDevice(fd, request.address, request.length) < 0) {
  if (Atomics.load(steps, 1) === 0) Atomics.store(steps, 0, 2);
  else own.wiped(1);
}
own.end();
parentPort?.postMessage('ended');
