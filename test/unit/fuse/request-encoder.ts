import { Region } from '../../../src/base/native.ts';
import type { Connection } from '../../../src/fuse/connection.ts';

export interface RequestFields {
  readonly opcode: number;
  readonly node?: number | bigint;
  readonly unique?: bigint;
  readonly uid?: number;
  readonly body?: Uint8Array;
  /** What the header says the length is, when it is to lie. */
  readonly claimedLength?: number;
  readonly extensionLength?: number;
}

/** The bytes of one request, laid out from fuse.h independently of src/fuse/abi.ts. */
export function encodeRequest(fields: RequestFields): Buffer {
  const body = fields.body ?? Buffer.alloc(0);
  const header = Buffer.alloc(40);
  header.writeUInt32LE(fields.claimedLength ?? 40 + body.length, 0);
  header.writeUInt32LE(fields.opcode, 4);
  header.writeBigUInt64LE(fields.unique ?? 7n, 8);
  header.writeBigUInt64LE(BigInt(fields.node ?? 1), 16);
  header.writeUInt32LE(fields.uid ?? 0, 24);
  header.writeUInt32LE(0, 28);
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

/** Of READ, READDIR and READDIRPLUS: fh, offset, size, read_flags, lock_owner, flags, padding. */
export function readBody(offset: number | bigint, size: number): Buffer {
  return Buffer.concat([u64s(0, offset), u32s(size, 0), u64s(0), u32s(0, 0)]);
}

export function nameBody(name: string | Uint8Array): Buffer {
  return Buffer.concat([typeof name === 'string' ? Buffer.from(name) : name, Buffer.of(0)]);
}

export interface DecodedReply {
  readonly error: number;
  readonly unique: bigint;
  readonly body: Buffer;
}

/** Feeds bytes to a connection and takes the reply apart; undefined when there is none. Checks the reply's own length. */
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
