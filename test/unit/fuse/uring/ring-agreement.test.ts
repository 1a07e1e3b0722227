import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Deadline } from '../../../../src/base/deadline.ts';
import { RingAgreement } from '../../../../src/fuse/uring/ring-agreement.ts';

const passed = Deadline.after(0);

function agreement(threads: number): readonly RingAgreement[] {
  const memory = new SharedArrayBuffer(RingAgreement.byteLength);
  return Array.from({ length: threads }, () => new RingAgreement(memory, threads));
}

describe('the agreement of the threads of a mount', () => {
  test('numbers the threads', () => {
    expect(agreement(3).map((one) => one.join())).toEqual([0, 1, 2]);
  });

  test.each([
    ['prepared', 'allPrepared'],
    ['registered', 'allRegistered'],
  ] as const)('is reached when all are %s', (say, ask) => {
    const all = agreement(3);
    for (const one of all) one[say]();
    expect(all.map((one) => one[ask](passed))).toEqual([true, true, true]);
  });

  test('is not reached when one fails, at whatever time before the last one is there', () => {
    const all = agreement(3);
    all[0]?.registered();
    all[1]?.fail();
    all[2]?.registered();
    expect(all.map((one) => one.allRegistered())).toEqual([false, false, false]);
    expect(all.map((one) => one.allPrepared(Deadline.after(60_000)))).toEqual([false, false, false]);
  });

  test('that was reached is not lost by who fails later', () => {
    const all = agreement(2);
    for (const one of all) one.registered();
    all[0]?.fail();
    expect(all.map((one) => one.allRegistered())).toEqual([true, true]);
  });

  test('is given up for all by who has waited too long', () => {
    const all = agreement(2);
    all[0]?.prepared();
    expect(all[0]?.allPrepared(passed)).toBe(false);
    all[1]?.prepared();
    expect(all[1]?.allPrepared(Deadline.after(60_000))).toBe(false);
  });

  test.each([true, false])('hands on the decision (%s) of the first thread, which nothing changes', (overRing) => {
    const [first, second] = agreement(2);
    first?.decide(overRing);
    first?.decide(!overRing);
    expect(second?.decision(passed)).toBe(overRing);
  });

  test('is the same for all threads, in whatever order they come and fail', () => {
    const action = fc.constantFrom('prepared', 'fail', 'give up', 'look');
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(2), action), { maxLength: 12 }), (steps) => {
        const all = agreement(3);
        const done = new Set<number>();
        const seen = new Set<boolean>();
        for (const [thread, what] of steps) {
          const one = all[thread];
          if (what === 'prepared' && !done.has(thread)) one?.prepared();
          if (what === 'prepared') done.add(thread);
          if (what === 'fail') one?.fail();
          if (what === 'give up') seen.add(one?.allPrepared(passed) ?? false);
        }
        for (const one of all) seen.add(one.allPrepared(passed));
        expect(seen.size).toBe(1);
      }),
    );
  });

  test('wakes a thread that waits', async () => {
    const memory = new SharedArrayBuffer(RingAgreement.byteLength);
    const module = new URL('../../../../src/fuse/uring/ring-agreement.ts', import.meta.url).href;
    const deadlines = new URL('../../../../src/base/deadline.ts', import.meta.url).href;
    const program = `
      const { parentPort, workerData } = require('node:worker_threads');
      import('tsx/esm/api').then(({ register }) => register()).then(() => Promise.all([import(${JSON.stringify(module)}), import(${JSON.stringify(deadlines)})])).then(([ring, time]) => {
        const agreement = new ring.RingAgreement(workerData, 2);
        agreement.prepared();
        parentPort.postMessage('waits');
        parentPort.postMessage(agreement.allPrepared(time.Deadline.after(60_000)));
      });`;
    const worker = new Worker(program, { eval: true, workerData: memory });
    const messages: unknown[] = [];
    const ended = new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
    worker.on('message', (message) => {
      messages.push(message);
      if (message === 'waits') new RingAgreement(memory, 2).prepared();
    });
    await ended;
    expect(messages).toEqual(['waits', true]);
  });
});
