import { Region } from '../../../src/base/linux/native.ts';
import type { Connection } from '../../../src/fuse/device/connection.ts';

export interface RequestFields {
  readonly opcode: number;
  readonly node?: number | bigint;
  readonly unique?: bigint;
  readonly uid?: number;
  readonly gid?: number;
  readonly body?: Uint8Array;
  /** The length that the header claims, when it is wrong. */
  readonly claimedLength?: number;
  readonly extensionLength?: number;
}

/** The bytes of one request, laid out from fuse.h independently of src/fuse/protocol/abi.ts. */
export function encodeRequest(fields: RequestFields): Buffer {
  const body = fields.body ?? Buffer.alloc(0);
  const header = Buffer.alloc(40);
  header.writeUInt32LE(fields.claimedLength ?? 40 + body.length, 0);
  header.writeUInt32LE(fields.opcode, 4);
  header.writeBigUInt64LE(fields.unique ?? 7n, 8);
  header.writeBigUInt64LE(BigInt(fields.node ?? 1), 16);
  header.writeUInt32LE(fields.uid ?? 0, 24);
  header.writeUInt32LE(fields.gid ?? 0, 28);
  header.writeUInt32LE(4711, 32);
  header.writeUInt16LE(fields.extensionLength ?? 0, 36);
  return Buffer.concat([header, body]);
}

export function u32s(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => {
    bytes.writeUInt32LE(value, index * 4);
  });
  return bytes;
}

export function u64s(...values: readonly (number | bigint)[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  values.forEach((value, index) => {
    bytes.writeBigUInt64LE(BigInt(value), index * 8);
  });
  return bytes;
}

/** Encodes the body of READ, READDIR and READDIRPLUS: fh, offset, size, read_flags, lock_owner, flags, padding. */
export function readBody(offset: number | bigint, size: number): Buffer {
  return Buffer.concat([u64s(0, offset), u32s(size, 0), u64s(0), u32s(0, 0)]);
}

export function nameBody(name: string | Uint8Array): Buffer {
  return Buffer.concat([typeof name === 'string' ? Buffer.from(name) : name, Buffer.of(0)]);
}

/** Encodes names one after another, for RENAME and SYMLINK. */
export function namesBody(...names: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(names.map(nameBody));
}

/** fh, offset, size, write_flags, lock_owner, flags, padding; then the data. */
export function writeBody(offset: number | bigint, data: Uint8Array, flags = 0, size = data.length): Buffer {
  return Buffer.concat([u64s(0, offset), u32s(size, flags), u64s(0), u32s(0, 0), data]);
}

/** fh, offset, length, mode, padding. */
export function fallocateBody(offset: number | bigint, length: number | bigint, mode: number): Buffer {
  return Buffer.concat([u64s(0, offset, length), u32s(mode, 0)]);
}

export interface SetattrFields {
  readonly valid: number;
  readonly size?: number | bigint;
  readonly atime?: bigint;
  readonly atimensec?: number;
  readonly mtime?: bigint;
  readonly mtimensec?: number;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

/** valid, padding, fh, size, lock_owner, atime, mtime, ctime, the three nanoseconds, mode, unused, uid, gid, unused. */
export function setattrBody(fields: SetattrFields): Buffer {
  const { valid, size = 0, mode = 0, uid = 0, gid = 0 } = fields;
  const { atime = 0n, atimensec = 0, mtime = 0n, mtimensec = 0 } = fields;
  return Buffer.concat([
    u32s(valid, 0),
    u64s(0, size, 0, BigInt.asUintN(64, atime), BigInt.asUintN(64, mtime), 0),
    u32s(atimensec, mtimensec, 0, mode, 0, uid, gid, 0),
  ]);
}

/** size, flags; then the name, then the value. */
export function setxattrBody(name: string, value: Uint8Array, flags = 0, size = value.length): Buffer {
  return Buffer.concat([u32s(size, flags), nameBody(name), value]);
}

export interface DecodedReply {
  readonly error: number;
  readonly unique: bigint;
  readonly body: Buffer;
}

/**
 * Passes bytes to a connection and decodes the reply; undefined when there is no reply. Checks the reply's own length.
 */
export function exchange(connection: Connection, bytes: Uint8Array): DecodedReply | undefined {
  const memory = new Region(Buffer.from(bytes));
  const length = connection.handle(memory, bytes.length);
  if (length === 0) return undefined;
  const reply = Buffer.from(connection.reply.bytes.subarray(0, length));
  if (length < 16 || reply.length !== length || reply.readUInt32LE(0) !== length) {
    throw new Error(`the reply claims ${reply.readUInt32LE(0)} bytes and has ${length}`);
  }
  return { error: reply.readInt32LE(4), unique: reply.readBigUInt64LE(8), body: reply.subarray(16) };
}
