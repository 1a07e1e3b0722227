import { constants } from 'node:os';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Region } from '../../../../src/base/linux/native.ts';
import { Connection } from '../../../../src/fuse/device/connection.ts';
import { MemoryFileSystem } from '../../../support/fuse/memory-file-system.ts';
import { encodeRequest, nameBody, readBody, u32s, u64s } from '../../../support/fuse/request-encoder.ts';

const { errno } = constants;

/** CKPTFS_FUZZ_RUNS raises it for long runs that are no part of CI. */
const runs = Number(process.env['CKPTFS_FUZZ_RUNS'] ?? 20_000);
const silentOpcodes = new Set([2, 36, 41, 42]);
const maxTransfer = 65_536;

const tree = new MemoryFileSystem();
const directory = tree.addDirectory(1, 'dir');
tree.addFile(directory, 'file', Buffer.alloc(10_000, 7), new Map([['user.n', Buffer.from('v')]]));
tree.addLink(1, 'link', Buffer.from('dir/file'));
const faults: unknown[] = [];
const connection = new Connection(tree, { maxTransfer, onError: (error) => faults.push(error) });

const opcode = fc.oneof(fc.integer({ min: 0, max: 60 }), fc.constantFrom(63, 64, 4096, 0x7fffffff, 0xffffffff));
const number64 = fc.oneof(fc.bigInt({ min: 0n, max: 20_000n }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
const body = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.string({ maxLength: 300 }).map((name) => nameBody(name)),
  fc.constantFrom('dir', 'file', 'link', '.', '..', 'none').map((name) => nameBody(name)),
  fc.tuple(number64, fc.oneof(fc.nat(20_000), fc.nat(0xffffffff))).map(([offset, size]) => readBody(offset, size)),
  fc
    .tuple(fc.nat(300), fc.string({ maxLength: 20 }))
    .map(([size, name]) => Buffer.concat([u32s(size, 0), nameBody(name)])),
  fc.tuple(number64, fc.nat(6)).map(([offset, whence]) => Buffer.concat([u64s(0, offset), u32s(whence, 0)])),
  fc.tuple(fc.nat(9), fc.nat(60)).map(([major, minor]) => u32s(major, minor, 0, 0xffffffff)),
);

const request = fc
  .record({ opcode, body, node: number64, unique: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) })
  .map((fields) => encodeRequest(fields));

/** Bytes of a request with a few of them changed, cut off or added. */
const mutated = fc
  .tuple(request, fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 4 }), fc.integer({ min: -30, max: 30 }))
  .map(([whole, changes, lengthChange]) => {
    const bytes = Buffer.alloc(Math.max(0, whole.length + lengthChange));
    whole.copy(bytes);
    for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
    return bytes;
  });

const memory = new Region(4096);

/** Places the request in memory that is full of other bytes after it, like in the device loop. */
function check(bytes: Buffer): void {
  memory.bytes.fill(0x5a);
  bytes.copy(memory.bytes);
  const faultsBefore = faults.length;
  const length = connection.handle(memory, bytes.length);
  expect(memory.bytes.subarray(0, bytes.length).equals(bytes)).toBe(true);
  if (bytes.length < 40) {
    expect(length).toBe(0);
    return;
  }
  if (silentOpcodes.has(bytes.readUInt32LE(4))) {
    expect(length).toBe(0);
    return;
  }
  const { reply } = connection;
  expect(length).toBeGreaterThanOrEqual(16);
  expect(length).toBeLessThanOrEqual(16 + maxTransfer);
  expect(reply.view.getUint32(0, true)).toBe(length);
  expect(reply.view.getBigUint64(8, true)).toBe(bytes.readBigUInt64LE(8));
  const error = reply.view.getInt32(4, true);
  // What the kernel accepts: 0, or a negative errno above -512; an error has no body.
  expect(error <= 0 && error > -512).toBe(true);
  if (error !== 0) expect(length).toBe(16);
  if (bytes.readUInt32LE(0) !== bytes.length) expect(error).toBe(-errno.EINVAL);
  // The only fault a request can cause here is a kernel that is too old.
  for (const fault of faults.slice(faultsBefore)) expect(fault).toMatchObject({ code: 'missing-feature' });
}

test('answers well-formed requests of any content', () => {
  fc.assert(fc.property(request, check), { numRuns: runs });
});

test('answers damaged requests', () => {
  fc.assert(fc.property(mutated, check), { numRuns: runs });
});

test('answers noise', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => check(Buffer.from(noise))),
    { numRuns: runs },
  );
});

test('never gives a reader more than was asked for', () => {
  const sizes = fc.record({
    opcode: fc.constantFrom(15, 22, 23, 28, 44),
    node: fc.nat(4),
    offset: fc.nat(12_000),
    size: fc.nat(9000),
  });
  fc.assert(
    fc.property(sizes, ({ opcode: code, node, offset, size }) => {
      const xattr = code === 22 || code === 23;
      const fields = xattr
        ? Buffer.concat([u32s(size, 0), code === 22 ? nameBody('user.n') : Buffer.of()])
        : readBody(offset, size);
      const bytes = encodeRequest({ opcode: code, node, body: fields });
      const length = connection.handle(new Region(bytes), bytes.length);
      expect(length - 16).toBeLessThanOrEqual(xattr && size === 0 ? 8 : size);
    }),
    { numRuns: runs / 4 },
  );
});
