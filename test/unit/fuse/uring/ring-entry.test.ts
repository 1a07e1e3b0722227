import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Region } from '../../../../src/base/linux/native.ts';
import { Connection } from '../../../../src/fuse/device/connection.ts';
import { Opcode } from '../../../../src/fuse/protocol/abi.ts';
import { RingEntry } from '../../../../src/fuse/uring/ring-entry.ts';
import { MemoryFileSystem } from '../../../support/fuse/memory-file-system.ts';
import { encodeRequest, namesBody, readBody, u32s } from '../../../support/fuse/request-encoder.ts';

const CAPACITY = 65_536;

function entry(queue = 0): { readonly memory: Region; readonly entry: RingEntry } {
  const memory = new Region(RingEntry.memoryFor(CAPACITY));
  return { memory, entry: new RingEntry(queue, memory) };
}

/** Puts a request where the kernel does: struct fuse_uring_req_header, and the payload a page later. */
function deliver(memory: Region, request: Buffer, structLength: number, commitId = 7n): void {
  request.copy(memory.bytes, 0, 0, 40);
  request.copy(memory.bytes, 128, 40, 40 + structLength);
  memory.view.setBigUint64(256 + 8, commitId, true);
  memory.view.setUint32(256 + 16, request.length - 40 - structLength, true);
  request.copy(memory.bytes, 4096, 40 + structLength);
}

describe("an entry's memory", () => {
  test('is told to the kernel as headers of 288 bytes and the payload', () => {
    const { memory, entry: one } = entry();
    const { view } = one.vector;
    expect([0, 8, 16, 24].map((at) => Number(view.getBigUint64(at, true)))).toEqual([
      memory.address,
      288,
      memory.address + 4096,
      CAPACITY,
    ]);
  });

  test('has the body of a reply where the kernel takes the payload from', () => {
    const { memory, entry: one } = entry();
    expect(one.replyMemory.address + 16).toBe(memory.address + 4096);
    expect(one.replyMemory.length).toBe(16 + CAPACITY);
  });

  test.each([
    ['a struct', Opcode.FUSE_READ, readBody(4096, 512), 40],
    ['a name', Opcode.FUSE_LOOKUP, namesBody('pages-1.img'), 0],
    ['a struct and two names', Opcode.FUSE_RENAME2, Buffer.concat([u32s(1, 0, 0, 0), namesBody('a', 'b')]), 16],
    ['nothing', Opcode.FUSE_STATFS, Buffer.alloc(0), 0],
    ['the longest struct', Opcode.FUSE_SETATTR, Buffer.alloc(128, 3), 128],
  ])('gives a request with %s as the device would', (_, opcode, body, structLength) => {
    const { memory, entry: one } = entry();
    const request = encodeRequest({ opcode, body, unique: 9n });
    deliver(memory, request, structLength);
    const to = new Region(8192);
    expect(one.copyRequest(to)).toBe(request.length);
    expect(to.bytes.subarray(0, request.length).equals(request)).toBe(true);
  });

  test('takes a reply apart: its header, its length, and the number to give back', () => {
    const { memory, entry: one } = entry();
    const tree = new MemoryFileSystem();
    const file = tree.addFile(1, 'file', Buffer.alloc(10_000, 7));
    const connection = new Connection(tree, { replyMemory: one.replyMemory });
    const request = encodeRequest({
      opcode: Opcode.FUSE_READ,
      node: file,
      body: readBody(100, 5000),
      unique: 0x1234_5678_9abc_def0n,
    });
    deliver(memory, request, 40, 0x0fed_cba9_8765_4321n);
    const to = new Region(8192);
    one.answer(connection.handle(to, one.copyRequest(to)));
    expect(memory.bytes.subarray(0, 16).toString('hex')).toBe('9813000000000000f0debc9a78563412');
    expect(memory.view.getUint32(256 + 16, true)).toBe(5000);
    expect(memory.bytes.subarray(4096, 4096 + 5000).every((byte) => byte === 7)).toBe(true);
    expect([one.commitLow, one.commitHigh]).toEqual([0x8765_4321, 0x0fed_cba9]);
  });

  test('answers without a body by the number of the request', () => {
    const { memory, entry: one } = entry();
    deliver(memory, encodeRequest({ opcode: Opcode.FUSE_LOOKUP, body: namesBody('x'), unique: 5n }), 0);
    one.answerEmpty(5);
    expect(memory.bytes.subarray(0, 16).toString('hex')).toBe('10000000fbffffff0500000000000000');
    expect(memory.view.getUint32(256 + 16, true)).toBe(0);
  });
});

describe('a request whose lengths contradict one another', () => {
  test.each([
    ['is shorter than its header', 39, 0],
    ['is shorter than header and payload', 40 + 10, 11],
    ['has a longer struct than there is room for', 40 + 129, 0],
    ['has a payload that is longer than the memory', 40 + CAPACITY + 1, CAPACITY + 1],
    ['is longer than the memory for it', 40 + 9000, 9000],
    ['has the longest lengths there are', 0xffff_ffff, 0xffff_ffff],
  ])('when it %s', (_, length, payloadLength) => {
    const { memory, entry: one } = entry();
    memory.view.setUint32(0, length, true);
    memory.view.setUint32(256 + 16, payloadLength, true);
    expect(one.copyRequest(new Region(8192))).toBe(0);
  });

  test('is never read beyond its memory, whatever the headers hold', () => {
    const { memory, entry: one } = entry();
    const to = new Region(8192 + 64);
    const within = new Region(to.bytes.subarray(0, 8192));
    const length = fc.oneof(fc.nat(300), fc.nat(70_000), fc.nat(0xffff_ffff));
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 288, maxLength: 288 }), length, length, (headers, whole, payload) => {
        memory.bytes.set(headers);
        memory.view.setUint32(0, whole, true);
        memory.view.setUint32(256 + 16, payload, true);
        to.bytes.fill(0x5a);
        const copied = one.copyRequest(within);
        const isPossible = whole <= 8192 && payload <= CAPACITY && whole >= 40 + payload && whole <= 168 + payload;
        expect(copied).toBe(isPossible ? whole : 0);
        expect(to.bytes.subarray(Math.max(copied, 0)).every((byte) => byte === 0x5a)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
