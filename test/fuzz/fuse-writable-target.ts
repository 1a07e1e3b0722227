import { Region } from '../../src/base/linux/native.ts';
import { Connection } from '../../src/fuse/device/connection.ts';
import { Opcode } from '../../src/fuse/protocol/abi.ts';
import { WritableMemoryFileSystem } from '../support/fuse/writable-memory-file-system.ts';
import { HEADER, MAX_TRANSFER, request } from './fuse-requests.ts';
import { type FuzzTarget, must } from './target.ts';

/** Requests of one input, one after another to a new file system with a file, a directory and a link. */
const REQUESTS = 25;
/** Blocks of 4 KiB. */
const CAPACITY = 64;

const silent: readonly number[] = [
  Opcode.FUSE_FORGET,
  Opcode.FUSE_BATCH_FORGET,
  Opcode.FUSE_INTERRUPT,
  Opcode.FUSE_NOTIFY_REPLY,
];
const telling: readonly number[] = [
  Opcode.FUSE_LOOKUP,
  Opcode.FUSE_CREATE,
  Opcode.FUSE_MKNOD,
  Opcode.FUSE_MKDIR,
  Opcode.FUSE_SYMLINK,
  Opcode.FUSE_LINK,
];
const others: readonly number[] = [
  Opcode.FUSE_SETATTR,
  Opcode.FUSE_UNLINK,
  Opcode.FUSE_RMDIR,
  Opcode.FUSE_RENAME,
  Opcode.FUSE_RENAME2,
  Opcode.FUSE_READ,
  Opcode.FUSE_WRITE,
  Opcode.FUSE_WRITE,
  Opcode.FUSE_FALLOCATE,
  Opcode.FUSE_LSEEK,
  Opcode.FUSE_SETXATTR,
  Opcode.FUSE_GETXATTR,
  Opcode.FUSE_REMOVEXATTR,
  Opcode.FUSE_READDIR,
  Opcode.FUSE_READDIRPLUS,
  Opcode.FUSE_FLUSH,
  Opcode.FUSE_FSYNC,
  Opcode.FUSE_GETATTR,
];
const opcodes = [...silent, ...telling, ...telling, ...others];
const vocabulary = {
  names: ['a', 'b', 'c', 'd', 'a', 'b', 'c', 'd', '.', '..', '', 'a/b', 'x'.repeat(255), 'x'.repeat(256)],
  attributes: ['user.a', 'user.b', 'user.a/b', 'security.capability', '', 'x'.repeat(256)],
  nodes: [1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 4, 5, 0, 2 ** 32, 2n ** 64n - 1n],
};

/** Counts the lookups that are added. */
class CountingFileSystem extends WritableMemoryFileSystem {
  told = 0;

  override addLookup(node: number): void {
    this.told++;
    super.addLookup(node);
  }
}

/** One of two connections that get the same requests, each followed in memory by other bytes. */
class Side {
  readonly tree = new CountingFileSystem(CAPACITY, () => ({ seconds: 1, nanoseconds: 2 }));
  readonly faults: unknown[] = [];
  readonly #filler: number;
  readonly #connection = new Connection(this.tree, {
    maxTransfer: MAX_TRANSFER,
    onError: (error, operation) => {
      if (operation !== 'INIT') this.faults.push(error);
    },
  });

  constructor(filler: number) {
    this.#filler = filler;
    const caller = { uid: 1000, gid: 100 };
    this.tree.create(1, Buffer.from('a'), 0o644, caller);
    this.tree.mkdir(1, Buffer.from('b'), 0o2755, caller);
    this.tree.symlink(3, Buffer.from('c'), Buffer.from('../a'), caller);
  }

  ask(bytes: Buffer): Buffer {
    const memory = new Region(Buffer.concat([bytes, Buffer.alloc(512, this.#filler)]));
    const length = this.#connection.handle(memory, bytes.length);
    must(memory.bytes.subarray(0, bytes.length).equals(bytes), 'the request was changed');
    return Buffer.from(this.#connection.reply.bytes.subarray(0, length));
  }
}

/** Returns how many lookups a reply adds. */
function toldBy(opcode: number, body: Buffer): number {
  if (telling.includes(opcode)) return body.readBigUInt64LE(0) === 0n ? 0 : 1;
  if (opcode !== Opcode.FUSE_READDIRPLUS) return 0;
  let told = 0;
  for (let at = 0; at < body.length; ) {
    if (body.readBigUInt64LE(at) !== 0n) told++;
    at += (128 + 24 + body.readUInt32LE(at + 144) + 7) & ~7;
  }
  return told;
}

function checkRequest([one, other]: readonly [Side, Side], bytes: Buffer): boolean {
  const before = one.tree.told;
  const reply = one.ask(bytes);
  must(reply.equals(other.ask(bytes)), 'the bytes after the request change the reply');
  must(one.faults.length === 0, `a fault: ${one.faults[0]}`);
  if (bytes.length < HEADER) return false;
  const opcode = bytes.readUInt32LE(4);
  must((reply.length === 0) === silent.includes(opcode), 'a reply where none is wanted, or none');
  if (reply.length === 0) return false;
  must(reply.length >= 16 && reply.readUInt32LE(0) === reply.length, 'a wrong reply length');
  const error = reply.readInt32LE(4);
  must(error <= 0 && error > -512 && (error === 0 || reply.length === 16), 'a reply whose error is not an errno');
  const told = error === 0 ? toldBy(opcode, reply.subarray(16)) : 0;
  must(one.tree.told - before === told, 'the kernel was told of more nodes, or fewer, than are remembered');
  return error === 0;
}

/** Requests of the kernel to a file system in memory that they change. */
export const fuseWritableTarget: FuzzTarget = {
  name: 'fuse-writable',
  prepare: () => ({
    attempt: (random) => {
      const requests = Array.from({ length: REQUESTS }, () => request(vocabulary, random, opcodes));
      const check = (): string => {
        const sides = [new Side(0), new Side(0x41)] as const;
        const answered = requests.filter((bytes) => checkRequest(sides, bytes)).length;
        return answered > REQUESTS / 5 ? 'many answered' : 'few answered';
      };
      return { input: Buffer.concat(requests), check };
    },
  }),
};
