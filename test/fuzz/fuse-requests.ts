import { Opcode } from '../../src/fuse/protocol/abi.ts';
import {
  encodeRequest,
  fallocateBody,
  nameBody,
  namesBody,
  readBody,
  setattrBody,
  setxattrBody,
  u32s,
  u64s,
  writeBody,
} from '../support/fuse/request-encoder.ts';
import { mutate, mutateInPlace } from './mutate.ts';
import type { Random } from './random.ts';

const opcodes: readonly number[] = Object.values(Opcode);
/** The most that is written at once. */
export const MAX_TRANSFER = 65536;
/** Bytes before the body. */
export const HEADER = 40;
const sizes = [0, 1, 16, 100, 4096, 5000, MAX_TRANSFER, MAX_TRANSFER + 1, 2 ** 32 - 1];
const offsets = [0, 1, 2, 5, 4095, 4096, 20_000, 65_536, 2 ** 32, 2 ** 53 - 1, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

/** What a request can be about in one file system. */
export interface Vocabulary {
  readonly names: readonly (string | Uint8Array)[];
  readonly attributes: readonly string[];
  readonly nodes: readonly (number | bigint)[];
}

/** Bytes of one request of the kernel, as it should be or damaged, mostly one of `from`. */
export function request(vocabulary: Vocabulary, random: Random, from: readonly number[] = opcodes): Buffer {
  const opcode = random.chance(20) ? random.u32() : random.pick(from);
  const fields = {
    opcode,
    node: random.pick(vocabulary.nodes),
    unique: BigInt(random.u32()) * 2n ** 32n + BigInt(random.u32()),
    uid: random.pick([0, 1000, 1001]),
    body: bodyOf(opcode, vocabulary, random),
    ...(random.chance(50) ? { claimedLength: random.below(200) } : {}),
    ...(random.chance(50) ? { extensionLength: random.below(65536) } : {}),
  };
  const bytes = encodeRequest(fields);
  return random.chance(2)
    ? bytes
    : random.chance(2)
      ? mutateInPlace(bytes, random)
      : withItsLength(mutate(bytes, random));
}

/** What the header says made true, so that more than the length check is reached. */
function withItsLength(bytes: Buffer): Buffer {
  if (bytes.length >= HEADER) bytes.writeUInt32LE(bytes.length, 0);
  return bytes;
}

function nameFrom({ names }: Vocabulary, random: Random): string | Uint8Array {
  return random.chance(10) ? random.bytes(random.below(300)) : random.pick(names);
}

function bodyOf(opcode: number, vocabulary: Vocabulary, random: Random): Buffer {
  const name = nameFrom(vocabulary, random);
  const size = random.chance(2) ? random.pick(sizes) : random.below(MAX_TRANSFER);
  switch (opcode) {
    case Opcode.FUSE_LOOKUP:
      return nameBody(name);
    case Opcode.FUSE_READ:
    case Opcode.FUSE_READDIR:
    case Opcode.FUSE_READDIRPLUS:
      return readBody(random.chance(3) ? random.below(70_000) : random.pick(offsets), size);
    case Opcode.FUSE_GETXATTR:
      return Buffer.concat([u32s(size, 0), nameBody(random.pick(vocabulary.attributes))]);
    case Opcode.FUSE_LISTXATTR:
      return u32s(size, 0);
    case Opcode.FUSE_INIT:
      return Buffer.concat([
        u32s(random.pick([6, 7, 8]), random.below(60), random.u32(), random.u32()),
        Buffer.alloc(48),
      ]);
    case Opcode.FUSE_LSEEK:
      return Buffer.concat([u64s(0, random.pick(offsets)), u32s(random.below(6), 0)]);
    default:
      return changingBodyOf(opcode, vocabulary, random) ?? random.bytes(random.below(80));
  }
}

/** Makes the body of an operation that changes something; undefined for other operations. */
function changingBodyOf(opcode: number, vocabulary: Vocabulary, random: Random): Buffer | undefined {
  const name = nameFrom(vocabulary, random);
  const mode = random.pick([0o100644, 0o106755, 0o040755, 0o010644, random.u32()]);
  const offset = random.chance(2) ? random.below(70_000) : random.pick(offsets);
  const node = random.pick(vocabulary.nodes);
  switch (opcode) {
    case Opcode.FUSE_CREATE:
    case Opcode.FUSE_MKNOD:
      return Buffer.concat([u32s(mode, mode, 0o022, 0), nameBody(name)]);
    case Opcode.FUSE_MKDIR:
      return Buffer.concat([u32s(mode, 0o022), nameBody(name)]);
    case Opcode.FUSE_SYMLINK:
    case Opcode.FUSE_UNLINK:
    case Opcode.FUSE_RMDIR:
      return opcode === Opcode.FUSE_SYMLINK ? namesBody(name, nameFrom(vocabulary, random)) : nameBody(name);
    case Opcode.FUSE_LINK:
      return Buffer.concat([u64s(node), nameBody(name)]);
    case Opcode.FUSE_RENAME:
      return Buffer.concat([u64s(node), namesBody(name, nameFrom(vocabulary, random))]);
    case Opcode.FUSE_RENAME2:
      return Buffer.concat([u64s(node), u32s(random.below(5), 0), namesBody(name, nameFrom(vocabulary, random))]);
    case Opcode.FUSE_WRITE:
      return writeBody(offset, Buffer.alloc(random.below(9000), random.below(256)), random.below(8));
    case Opcode.FUSE_FALLOCATE:
      return fallocateBody(offset, random.chance(2) ? random.below(70_000) : random.pick(offsets), random.below(20));
    case Opcode.FUSE_SETATTR:
      return setattrBody({
        valid: random.below(4096),
        size: offset,
        atime: BigInt(random.pick(offsets)),
        atimensec: random.pick([0, 999_999_999, random.u32()]),
        mtime: BigInt(random.pick(offsets)),
        mtimensec: random.pick([0, 999_999_999, random.u32()]),
        mode,
        uid: random.below(2000),
        gid: random.u32(),
      });
    case Opcode.FUSE_SETXATTR:
      return setxattrBody(random.pick(vocabulary.attributes), random.bytes(random.below(50)), random.below(4));
    case Opcode.FUSE_REMOVEXATTR:
      return nameBody(random.pick(vocabulary.attributes));
    case Opcode.FUSE_FORGET:
      return u64s(random.below(3));
    case Opcode.FUSE_BATCH_FORGET:
      return Buffer.concat([u32s(random.below(4), 0), u64s(node, 1, random.pick(vocabulary.nodes), random.below(5))]);
    default:
      return undefined;
  }
}
