/**
 * Mounts a made-up file system through the built transport, for tests of the transport alone and for looking at its
 * speed:
 *   node pattern-daemon.mjs MOUNTPOINT [kernel|io-uring|fuse-native] [WORKERS] [OPTIONS-JSON]
 * Prints one line of JSON once mounted, and on every line read from standard input one with its counters. Ends with the
 * mount.
 */
import { fstatSync } from 'node:fs';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { Errno } from '../../../dist/base/errno.js';
import { Connection } from '../../../dist/fuse/device/connection.js';
import { serve } from '../../../dist/fuse/device/device-loop.js';
import { mountKernel } from '../../../dist/fuse/mount/mount-kernel.js';
import { setReadAhead, unmount } from '../../../dist/fuse/mount/mount-point.js';
import { mountNative } from '../../../dist/fuse/native/native-transport.js';
import { COUNTER_SLOTS } from '../../../dist/fuse/protocol/counters.js';
import { capacityOf, countQueues } from '../../../dist/fuse/uring/queues.js';
import { RingAgreement } from '../../../dist/fuse/uring/ring-agreement.js';
import { abandonRings, serveRings } from '../../../dist/fuse/uring/serve-rings.js';

const blockSize = 4096;
const gibibyte = 2 ** 30;
const manyNames = 10_000;

/** Byte i of every file is byte i modulo 1 MiB of this. A whole number of 251s would make all blocks alike. */
const pattern = Buffer.alloc(1 << 20);
for (let at = 0; at < pattern.length; at++) pattern[at] = (at * 7 + (at >>> 12) * 31) & 255;

const root = 1;
const many = 2;
const file = (node, name, size, more = {}) => ({ node, parent: root, name, mode: 0o100644, size, ...more });
const entries = [
  { node: root, parent: root, name: '', mode: 0o40755, size: 0 },
  { node: many, parent: root, name: 'many', mode: 0o40755, size: 0 },
  file(3, 'small', 10_000, { xattrs: { 'user.colour': 'blue', 'user.empty': '' } }),
  file(4, 'big', gibibyte),
  // Blocks of 4 KiB, in turn data and hole.
  file(5, 'holes', 10 * blockSize, { holes: true }),
  file(6, 'broken', 10_000, { broken: 'EIO' }),
  file(7, 'buggy', 10_000, { broken: 'bug' }),
  file(8, 'huge', 2 ** 53 - 1, { holes: true }),
  file(9, 'slow', 100 * blockSize, { slow: true }),
  { node: 10, parent: root, name: 'link', mode: 0o120777, size: 5, target: 'small' },
  file(11, 'private', 100, { mode: 0o100600 }),
  file(12, 'empty', 0),
];
for (let index = 0; index < manyNames; index++) {
  entries.push({ ...file(100 + index, `name-${String(index).padStart(5, '0')}`, index), parent: many });
}
const byNode = new Map(entries.map((entry) => [entry.node, entry]));
const children = new Map(
  [root, many].map((parent) => [parent, entries.filter((e) => e.parent === parent && e.node !== root)]),
);
const byName = new Map(entries.map((entry) => [`${entry.parent}/${entry.name}`, entry]));

function entryOf(node) {
  const entry = byNode.get(node);
  if (entry === undefined) throw Errno.of('ENOENT');
  return entry;
}

function childrenOf(directory) {
  const found = children.get(entryOf(directory).node);
  if (found === undefined) throw Errno.of('ENOTDIR');
  return found;
}

function attributesOf({ node, mode, size, holes }) {
  const blocks = holes ? Math.ceil(size / blockSize / 2) * 8 : Math.ceil(size / 512);
  const time = { seconds: 1_600_000_000, nanoseconds: 123_456_789 };
  const times = { atime: time, mtime: time, ctime: time };
  return { node, mode, size, blocks: Math.min(blocks, 2 ** 40), links: 1, uid: 0, gid: 0, ...times };
}

const fileSystem = {
  immutable: true,
  lookup(parent, name) {
    childrenOf(parent);
    const found = byName.get(`${parent}/${Buffer.from(name).toString()}`);
    if (found === undefined) throw Errno.of('ENOENT');
    return attributesOf(found);
  },
  getattr: (node) => attributesOf(entryOf(node)),
  readlink(node) {
    const { target } = entryOf(node);
    if (target === undefined) throw Errno.of('EINVAL');
    return Buffer.from(target);
  },
  read(node, offset, length, out, outOffset) {
    const entry = entryOf(node);
    if (entry.broken === 'EIO') throw Errno.of('EIO');
    if (entry.broken === 'bug') throw new TypeError('a bug in the file system');
    if (entry.slow) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    const count = Math.max(0, Math.min(length, entry.size - offset));
    for (let done = 0; done < count; ) {
      const at = (offset + done) % pattern.length;
      const part = Math.min(count - done, pattern.length - at);
      out.bytes.set(pattern.subarray(at, at + part), outOffset + done);
      done += part;
    }
    if (entry.holes) zeroHoles(offset, count, out.bytes.subarray(outOffset, outOffset + count));
    return count;
  },
  entryAfter(directory, cookie) {
    const listed = childrenOf(directory);
    const next = cookie + 1;
    if (cookie === 0) return { cookie: next, name: Buffer.from('.'), attributes: attributesOf(entryOf(directory)) };
    if (cookie === 1)
      return { cookie: next, name: Buffer.from('..'), attributes: attributesOf(entryOf(entryOf(directory).parent)) };
    const entry = listed[cookie - 2];
    return entry && { cookie: next, name: Buffer.from(entry.name), attributes: attributesOf(entry) };
  },
  statfs: () => ({ blockSize, blocks: 123_456, freeBlocks: 0, files: byNode.size, freeFiles: 0, nameMax: 255 }),
  getxattr(node, name) {
    const value = entryOf(node).xattrs?.[Buffer.from(name).toString()];
    if (value === undefined) throw Errno.of('ENODATA');
    return Buffer.from(value);
  },
  listxattr: (node) => Object.keys(entryOf(node).xattrs ?? {}).map((name) => Buffer.from(name)),
  seek(node, offset, whence) {
    const { size, holes } = entryOf(node);
    if (offset >= size) throw Errno.of('ENXIO');
    if (!holes) return whence === 'data' ? offset : size;
    const block = Math.floor(offset / blockSize);
    if ((block % 2 === 0) === (whence === 'data')) return offset;
    const next = (block + 1) * blockSize;
    if (next < size) return next;
    if (whence === 'hole') return size;
    throw Errno.of('ENXIO');
  },
};

function zeroHoles(offset, count, bytes) {
  for (let done = 0; done < count; ) {
    const block = Math.floor((offset + done) / blockSize);
    const end = Math.min(count, (block + 1) * blockSize - offset);
    if (block % 2 === 1) bytes.fill(0, done, end);
    done = end;
  }
}

function print(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function main() {
  const [directory, transport = 'kernel', workers = '2', json = '{}'] = process.argv.slice(2);
  const options = {
    source: '/some, odd\\source',
    readOnly: true,
    allowOther: false,
    maxRead: 1 << 20,
    ...JSON.parse(json),
  };
  const onError = (error, operation, node) => print({ fault: String(error), operation, node });
  const counters = Array.from(
    { length: Number(workers) },
    () => new Float64Array(new SharedArrayBuffer(COUNTER_SLOTS * 8)),
  );
  process.stdin.on('data', (line) => {
    if (String(line).startsWith('unmount'))
      unmount(directory).catch((error) => print({ error: error.code ?? 'unknown', message: error.message }));
    else
      print({
        counters: Array.from({ length: COUNTER_SLOTS }, (_, slot) => counters.reduce((sum, c) => sum + c[slot], 0)),
      });
  });
  process.stdin.unref();
  if (transport === 'fuse-native') {
    const { mountPoint, device, ended } = await mountNative(directory, fileSystem, { ...options, onError });
    print({ mountPoint, device });
    await ended;
    print({ ended: true });
    return;
  }
  const { fd, mountPoint, device } = await mountKernel(directory, options);
  const readAhead = setReadAhead(device, 1024);
  const rings = transport === 'io-uring' ? planRings(counters.length) : undefined;
  // A larger transfer than fits into the rings: then the kernel refuses them. Threads that fail before they serve.
  const { onlyUid, maxTransfer, failing = 0 } = options;
  const threads = counters.map(
    (own, index) =>
      new Worker(new URL(import.meta.url), {
        workerData: { fd, counters: own, onlyUid, maxTransfer, rings, fails: index < failing },
      }),
  );
  for (const thread of threads) thread.on('message', print);
  print({ mountPoint, device, readAhead, isDevice: fstatSync(fd).isCharacterDevice() });
  await Promise.all(threads.map((thread) => new Promise((resolve) => thread.once('exit', resolve))));
  print({ ended: true });
}

function planRings(workers) {
  const queues = countQueues();
  const memory = new SharedArrayBuffer(RingAgreement.byteLength);
  return { memory, threads: Math.min(workers, queues), queues, capacity: capacityOf(queues, 1 << 20) };
}

if (isMainThread) {
  await main().catch((error) => {
    print({ error: error.code ?? 'unknown', message: error.message, data: error.data });
    process.exitCode = 1;
  });
} else {
  const { fd, counters, onlyUid, maxTransfer, rings, fails } = workerData;
  const { parentPort } = await import('node:worker_threads');
  const onError = (error, operation, node) => parentPort.postMessage({ fault: String(error), operation, node });
  const larger = maxTransfer !== undefined && { maxTransfer, replyMemory: undefined };
  const connect = (more) =>
    new Connection(fileSystem, { counters, onError, ...(onlyUid !== undefined && { onlyUid }), ...more, ...larger });
  if (fails) abandonRings(rings);
  else if (rings === undefined) serve(fd, connect({}));
  else {
    serveRings(fd, rings, {
      connect,
      onServing: (overRing) => parentPort.postMessage({ overRing }),
      onRefusal: (why) => parentPort.postMessage({ refusal: why }),
      onFailure: (error) => parentPort.postMessage({ refusal: String(error) }),
    });
  }
}
