// Goal: reads answered from blocks have the bytes of the file, whatever their offsets, and nothing stays in memory.
// Method: real memory and a file of random bytes; replies go through writev(2), as to the kernel.
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { Counters } from '../../../../src/base/counters.ts';
import { Errno } from '../../../../src/base/errno.ts';
import { writeDeviceVector } from '../../../../src/base/linux/devices.ts';
import type { Region } from '../../../../src/base/linux/native.ts';
import { wipe } from '../../../../src/base/wipe.ts';
import { type AheadMemory, aheadMemory } from '../../../../src/fs/ahead/layout.ts';
import { RingKeeper } from '../../../../src/fs/ahead/ring-keeper.ts';
import { RingReader } from '../../../../src/fs/ahead/ring-reader.ts';
import { Reply } from '../../../../src/fuse/protocol/reply.ts';

const MIB = 1 << 20;
const SIZE = 20 * MIB + 123_456;
const NODE = 5;
const HEADER = 16;

const directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-ring-'));
afterAll(() => fs.rmSync(directory, { recursive: true }));

const content = randomBytes(SIZE);

/** Chunks of 16 KiB that do not authenticate. */
let damaged: Set<number>;
let memory: AheadMemory;
let counters: Counters;
let made: number;

beforeEach(() => {
  damaged = new Set();
  memory = aheadMemory();
  counters = new Counters();
  made = 0;
});

const source = {
  sizeOf: () => SIZE,
  read(_node: number, offset: number, length: number, out: Region, outOffset: number): number {
    if (!source.readAhead(_node, offset, Math.min(length, SIZE - offset), out, outOffset)) throw Errno.of('EIO');
    return Math.min(length, SIZE - offset);
  },
  readAhead(_node: number, offset: number, length: number, out: Region, outOffset: number): boolean {
    content.copy(out.bytes, outOffset, offset, offset + length);
    for (let chunk = offset >> 14; chunk <= (offset + length - 1) >> 14; chunk++) {
      if (!damaged.has(chunk)) continue;
      wipe(out.bytes, outOffset, outOffset + length);
      return false;
    }
    return true;
  },
};

class Reader {
  readonly ahead = new RingReader(memory, source, counters, () => made++);
  readonly reply = new Reply(MIB);
  readonly file = join(directory, 'reply');

  /** Reads, and returns the body that writev(2) makes of the reply. @throws Errno */
  read(handle: number, offset: number, length: number): Buffer {
    this.reply.begin();
    try {
      const read = this.ahead.read(handle, NODE, offset, length, this.reply);
      const { vectorLength, vector, bodyOffset } = this.reply;
      if (vectorLength === 0) return Buffer.from(this.reply.memory.bytes.subarray(bodyOffset, bodyOffset + read));
      const fd = fs.openSync(this.file, 'w');
      expect(writeDeviceVector(fd, vector, vectorLength)).toBe(HEADER + read);
      fs.closeSync(fd);
      return fs.readFileSync(this.file).subarray(HEADER);
    } finally {
      this.ahead.sent();
    }
  }

  work(pieces = Number.POSITIVE_INFINITY): void {
    for (let done = 0; done < pieces && this.ahead.work(); done++);
  }
}

function isWiped(): boolean {
  return Buffer.from(memory.blocks).every((byte) => byte === 0);
}

describe('reads', () => {
  test.each([
    ['in whole blocks', MIB, 0],
    ['of one block', 1 << 18, 0],
    ['without any alignment', 333_333, 777],
    ['that are small', 65_536, 100],
  ])('%s give the bytes of the file to its end', (_, length, first) => {
    const reader = new Reader();
    const handle = reader.ahead.opened(NODE);
    for (let offset = first, turn = 0; offset < SIZE; offset += length, turn++) {
      expect(reader.read(handle, offset, length).equals(content.subarray(offset, offset + length))).toBe(true);
      reader.work(turn % 7);
    }
    expect(reader.read(handle, SIZE, length).length).toBe(0);
    expect(counters.get('bytesServedAhead')).toBeGreaterThan(SIZE / 2);
    reader.work();
    expect(isWiped()).toBe(true);
  });

  test('of two threads and of two places in one file do not disturb each other', () => {
    const readers = [new Reader(), new Reader()] as const;
    const handle = readers[0].ahead.opened(NODE);
    readers[1].ahead.opened(NODE);
    for (let offset = 0; offset < 8 * MIB; offset += MIB) {
      for (const [index, place] of [0, 10 * MIB + 5].entries()) {
        const reader = readers[(index + offset / MIB) % 2] as Reader;
        const at = place + offset;
        expect(reader.read(handle, at, MIB).equals(content.subarray(at, at + MIB))).toBe(true);
        readers[0].work(3);
        readers[1].work(2);
      }
    }
    expect(counters.get('bytesServedAhead')).toBeGreaterThan(8 * MIB);
  });

  test('of a damaged chunk fail, and no others', () => {
    damaged.add((3 * MIB + 5) >> 14);
    const reader = new Reader();
    const handle = reader.ahead.opened(NODE);
    const failed: number[] = [];
    for (let offset = 0; offset < 8 * MIB; offset += MIB) {
      try {
        expect(reader.read(handle, offset, MIB).equals(content.subarray(offset, offset + MIB))).toBe(true);
      } catch (error) {
        expect(error).toBe(Errno.of('EIO'));
        failed.push(offset);
      }
      reader.work();
    }
    expect(failed).toEqual([3 * MIB]);
    // The rest of the block that has the chunk can be read.
    const at = 3 * MIB + (1 << 14);
    expect(reader.read(handle, at, 1 << 16).equals(content.subarray(at, at + (1 << 16)))).toBe(true);
  });
});

describe('memory', () => {
  test('is wiped when the last handle is closed', () => {
    const reader = new Reader();
    const handle = reader.ahead.opened(NODE);
    reader.read(handle, 0, MIB);
    reader.work();
    expect(made).toBe(1);
    expect(isWiped()).toBe(false);
    reader.ahead.closed(handle);
    reader.work();
    expect(isWiped()).toBe(true);
  });

  test('is emptied and given back when no read has come between two looks', () => {
    const reader = new Reader();
    const keeper = new RingKeeper(memory);
    const handle = reader.ahead.opened(NODE);
    reader.read(handle, 0, MIB);
    reader.work();
    expect(keeper.look()).toBe(false);
    reader.read(handle, MIB, MIB);
    reader.work();
    expect(keeper.look()).toBe(false);
    expect(isWiped()).toBe(false);
    expect(keeper.look()).toBe(true);
    expect(isWiped()).toBe(true);
    expect(reader.read(handle, 2 * MIB, MIB).equals(content.subarray(2 * MIB, 3 * MIB))).toBe(true);
    reader.work();
    expect(reader.read(handle, 3 * MIB, MIB).equals(content.subarray(3 * MIB, 4 * MIB))).toBe(true);
  });

  test('is wiped at the end of the mount, whatever its state', () => {
    const reader = new Reader();
    const handle = reader.ahead.opened(NODE);
    reader.read(handle, 0, MIB);
    reader.work();
    new RingKeeper(memory).end();
    expect(isWiped()).toBe(true);
  });
});
