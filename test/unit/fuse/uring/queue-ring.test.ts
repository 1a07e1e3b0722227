import { constants } from 'node:os';
import { beforeEach, describe, expect, test } from 'vitest';
import { Region } from '../../../../src/base/linux/native.ts';
import { QueueRing } from '../../../../src/fuse/uring/queue-ring.ts';
import { RingEntry } from '../../../../src/fuse/uring/ring-entry.ts';

const { ENOTCONN, ECONNABORTED, ECANCELED, EINVAL, ENOENT } = constants.errno;
const CAPACITY = 4096;
const POLL = 0xffff;
const REGISTER = 1;
const COMMIT = 2;

/** What was submitted, as a kernel reads it. */
interface Submitted {
  readonly opcode: number;
  readonly command: number;
  readonly queue: number;
  readonly userData: number;
  readonly commitId: bigint;
}

/** A kernel's side of a ring that completes what a test says, including what no kernel here can be brought to do. */
class ScriptedRing {
  readonly submitted: Submitted[] = [];
  /** Completions of each call of {@link enter}, in order: entry and result. */
  readonly script: (readonly (readonly [userData: number, result: number])[])[] = [];
  userData = 0;
  result = 0;
  isClosed = false;
  readonly #memory = new Region(64 * 128);
  #added = 0;
  #ready: (readonly [number, number])[] = [];

  get submissions(): DataView {
    return this.#memory.view;
  }

  add(): number {
    const at = this.#added++ * 128;
    this.#memory.bytes.fill(0, at, at + 128);
    return at;
  }

  enter(): void {
    for (let index = 0; index < this.#added; index++) {
      const at = index * 128;
      const view = this.#memory.view;
      this.submitted.push({
        opcode: view.getUint8(at),
        command: view.getUint32(at + 8, true),
        queue: view.getUint16(at + 64, true),
        userData: view.getUint32(at + 32, true),
        commitId: view.getBigUint64(at + 56, true),
      });
    }
    this.#added = 0;
    const next = this.script.shift();
    if (next === undefined) throw new Error('the kernel has nothing more to say');
    this.#ready.push(...next);
  }

  take(): boolean {
    const next = this.#ready.shift();
    if (next === undefined) return false;
    [this.userData, this.result] = next;
    return true;
  }

  close(): void {
    this.isClosed = true;
  }
}

let ring: ScriptedRing;
let memory: Region;
let queues: QueueRing;
let answered: number[];

const answer = (_: RingEntry, index: number): void => {
  answered.push(index);
};

beforeEach(() => {
  ring = new ScriptedRing();
  memory = new Region(2 * RingEntry.memoryFor(CAPACITY));
  queues = new QueueRing(21, ring, memory, [1, 3], CAPACITY);
  answered = [];
});

describe('registering', () => {
  test('offers an entry for each queue', () => {
    ring.script.push([]);
    expect(queues.register()).toBe(true);
    expect(ring.submitted.map(({ command, queue, userData }) => [command, queue, userData])).toEqual([
      [REGISTER, 1, 0],
      [REGISTER, 3, 1],
    ]);
  });

  test.each([0, 1])('tells that the kernel refuses entry %i', (entry) => {
    ring.script.push([[entry, -EINVAL]]);
    expect(queues.register()).toBe(false);
  });

  test('keeps a request that comes at once', () => {
    ring.script.push([[1, 0]], [[0, -ENOTCONN]]);
    expect(queues.register()).toBe(true);
    queues.serve(answer);
    expect(answered).toEqual([1]);
    expect(ring.submitted.at(-1)).toMatchObject({ command: COMMIT, queue: 3, userData: 1 });
  });

  test('is taken back by the offer of a queue that no machine has', () => {
    ring.script.push([[POLL, -EINVAL]]);
    queues.refuse();
    expect(ring.submitted).toMatchObject([{ command: REGISTER, queue: 0xffff }]);
  });
});

describe('serving', () => {
  test('hands over each reply by its number, with the fetching of the next request', () => {
    memory.view.setBigUint64(256 + 8, 77n, true);
    ring.script.push([[0, 0]], [[0, 0]], [[0, -ENOTCONN]]);
    queues.serve(answer);
    expect(answered).toEqual([0, 0]);
    expect(ring.submitted.map(({ command, commitId }) => [command, commitId])).toEqual([
      [COMMIT, 77n],
      [COMMIT, 77n],
    ]);
  });

  test.each([ENOTCONN, ECONNABORTED, ECANCELED])('ends by errno %i', (errno) => {
    ring.script.push([[1, -errno]]);
    queues.serve(answer);
    expect(answered).toEqual([]);
  });

  test('offers an entry anew whose reply was not taken, because its queue would stand still', () => {
    ring.script.push([[0, 0]], [[0, -ENOENT]], [[0, 0]], [[0, -ENOTCONN]]);
    queues.serve(answer);
    expect(answered).toEqual([0, 0]);
    expect(ring.submitted.map(({ command }) => command)).toEqual([COMMIT, REGISTER, COMMIT]);
  });

  test('gives up when the kernel takes nothing any more', () => {
    for (let time = 0; time < 17; time++) ring.script.push([[0, -EINVAL]]);
    expect(() => queues.serve(answer)).toThrow(expect.objectContaining({ code: 'internal' }));
    expect(ring.script).toEqual([]);
  });

  test('does not count what was lost before a request was answered', () => {
    for (let time = 0; time < 40; time++) ring.script.push([[0, -EINVAL]], [[0, 0]]);
    ring.script.push([[0, -ENOTCONN]]);
    queues.serve(answer);
    expect(answered).toHaveLength(40);
  });

  test('watches the device, again after each time', () => {
    const outcomes = [true, true, false];
    ring.script.push([[POLL, 1]], [[0, 0]], [[POLL, 1]], [[POLL, 1]]);
    queues.serve(answer, { fd: 9, read: () => outcomes.shift() ?? false });
    expect(ring.submitted.map(({ opcode }) => opcode)).toEqual([6, 6, 46, 6]);
    expect([outcomes, answered]).toEqual([[], [0]]);
  });

  test('refuses to touch the memory of an entry that it does not have', () => {
    ring.script.push([[2, 0]]);
    expect(() => queues.serve(answer)).toThrow('unknown entry 2');
  });
});
