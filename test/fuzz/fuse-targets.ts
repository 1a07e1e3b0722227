import { CkptfsError } from '../../src/base/errors.ts';
import { Region } from '../../src/base/linux/native.ts';
import { ReadOnlyTree } from '../../src/fs/read-only-tree.ts';
import { Connection } from '../../src/fuse/device/connection.ts';
import { Opcode } from '../../src/fuse/protocol/abi.ts';
import type { FileSystem } from '../../src/fuse/protocol/filesystem.ts';
import { ImageReader } from '../../src/image/read/image-reader.ts';
import { ImageTree } from '../../src/image/read/tree.ts';
import { MemoryFileSystem } from '../support/fuse/memory-file-system.ts';
import { HEADER, MAX_TRANSFER, request, type Vocabulary } from './fuse-requests.ts';
import { sampleImage } from './image-sample.ts';
import { type FuzzTarget, must } from './target.ts';

interface World extends Vocabulary {
  readonly connections: readonly Connection[];
  readonly faults: unknown[];
  /** The bytes of a file, where they are known. */
  content(node: bigint): Uint8Array | undefined;
}

/** Returns the decoded reply to a request that other bytes follow in memory. */
function ask(connection: Connection, bytes: Buffer, filler: number): Buffer {
  const memory = new Region(Buffer.concat([bytes, Buffer.alloc(512, filler)]));
  const length = connection.handle(memory, bytes.length);
  return Buffer.from(connection.reply.bytes.subarray(0, length));
}

function checkRequest(world: World, connection: Connection, bytes: Buffer): string {
  const reply = ask(connection, bytes, 0);
  must(reply.equals(ask(connection, bytes, 0x41)), 'the bytes after the request change the reply');
  must(world.faults.length === 0, `a fault: ${world.faults[0]}`);
  if (reply.length === 0) return 'no reply';
  must(bytes.length >= HEADER && reply.length >= 16 && reply.readUInt32LE(0) === reply.length, 'a wrong reply length');
  must(reply.readBigUInt64LE(8) === bytes.readBigUInt64LE(8), 'the reply to another request');
  const error = reply.readInt32LE(4);
  must(error <= 0 && error > -512 && (error === 0 || reply.length === 16), 'a reply whose error is not an errno');
  if (error === 0) checkBody(world, bytes, reply.subarray(16));
  return error === 0 ? 'answered' : 'error';
}

function checkBody(world: World, bytes: Buffer, body: Buffer): void {
  const opcode = bytes.readUInt32LE(4);
  if (![Opcode.FUSE_READ, Opcode.FUSE_READDIR, Opcode.FUSE_READDIRPLUS].includes(opcode as never)) return;
  const size = bytes.readUInt32LE(HEADER + 16);
  must(body.length <= Math.min(size, MAX_TRANSFER), 'more bytes than were asked for');
  const content = opcode === Opcode.FUSE_READ ? world.content(bytes.readBigUInt64LE(16)) : undefined;
  if (content === undefined) return;
  const offset = Number(bytes.readBigUInt64LE(HEADER + 8));
  must(body.equals(content.subarray(offset, offset + size)), 'wrong bytes, or too few');
}

function connectionsTo(fileSystem: FileSystem, faults: unknown[]): Connection[] {
  const onError = (error: unknown, operation: string): void => {
    // A kernel too old is told to the user that way.
    if (operation !== 'INIT' || !(error instanceof CkptfsError)) faults.push(error);
  };
  const options = { maxTransfer: MAX_TRANSFER, onError };
  return [new Connection(fileSystem, options), new Connection(fileSystem, { ...options, onlyUid: 1000 })];
}

function targetOf(name: string, makeWorld: () => World): FuzzTarget {
  return {
    name,
    prepare: () => {
      const world = makeWorld();
      return {
        attempt: (random) => {
          const input = request(world, random);
          const connection = random.pick(world.connections);
          return { input, check: () => checkRequest(world, connection, input) };
        },
      };
    },
  };
}

/** Requests of the kernel to a small tree in memory. */
export const fuseTarget = targetOf('fuse', () => {
  const faults: unknown[] = [];
  const tree = new MemoryFileSystem();
  const directory = tree.addDirectory(1, 'dir');
  tree.addFile(
    directory,
    'file',
    Buffer.from(Array.from({ length: 20_000 }, (_, at) => at % 251)),
    new Map([['user.a', Buffer.from('b')]]),
  );
  tree.addLink(1, 'link', Buffer.from('dir/file'));
  for (let at = 0; at < 200; at++) tree.addFile(directory, `\xff${at}`, Buffer.alloc(at));
  return {
    names: ['dir', 'file', 'link', '.', '..', '', 'a/b', 'x'.repeat(255), 'x'.repeat(256)],
    attributes: ['user.a', 'user.none', 'security.selinux', ''],
    nodes: [0, 1, 2, 3, 4, 5, 100, 204, 205, 2 ** 32, 2n ** 53n, 2n ** 64n - 1n],
    connections: connectionsTo(tree, faults),
    faults,
    content: (node) => tree.nodes.get(Number(node))?.content,
  };
});

/** Requests of the kernel to a real image, its bytes compared. */
export const imageRequestsTarget = targetOf('fuse-image', () => {
  const { image, files } = sampleImage();
  const faults: unknown[] = [];
  const tree = new ReadOnlyTree(image, new ImageTree(image.manifest), new ImageReader(image, 65536), (line) =>
    faults.push(line),
  );
  const count = image.manifest.inodes.length;
  return {
    names: [...image.manifest.entries.map(({ name }) => name), 'none', '..'],
    attributes: [
      ...image.manifest.inodes.flatMap(({ xattrs }) => xattrs.map(({ name }) => name.toString('latin1'))),
      '',
    ],
    nodes: [0, ...Array.from({ length: count + 2 }, (_, at) => at + 1), 2n ** 53n, 2n ** 64n - 1n],
    connections: connectionsTo(tree, faults),
    faults,
    content: (node) => files.get(Number(node)),
  };
});
