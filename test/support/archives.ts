import { Readable } from 'node:stream';
import { ArchiveReader } from '../../src/archive/archive-reader.ts';
import { ByteStream } from '../../src/archive/byte-stream.ts';
import type { Member } from '../../src/archive/member.ts';

/** The fields of a header block made by hand, which no writer would make. */
export interface BlockFields {
  readonly name?: string | Buffer;
  readonly type?: string;
  readonly link?: string | Buffer;
  /** As octal digits, or as the bytes of the field. */
  readonly size?: number | Buffer;
  readonly mode?: number | Buffer;
  readonly uid?: number | Buffer;
  readonly mtime?: number | Buffer;
  readonly magic?: string;
  readonly prefix?: string;
  /** More bytes, by where they are. */
  readonly more?: Readonly<Record<number, Buffer>>;
  /** Is added to the right checksum. */
  readonly checksumError?: number;
}

/** Makes a header block. */
export function block(fields: BlockFields): Buffer {
  const { name = 'file', type = '0', link = '', size = 0, mode = 0o644, uid = 0, mtime = 0 } = fields;
  const bytes = Buffer.alloc(512);
  Buffer.from(name as Buffer).copy(bytes, 0, 0, 100);
  number(bytes, 100, 8, mode);
  number(bytes, 108, 8, uid);
  number(bytes, 116, 8, 0);
  number(bytes, 124, 12, size);
  number(bytes, 136, 12, mtime);
  bytes.write(' '.repeat(8), 148);
  bytes.write(type, 156, 'latin1');
  Buffer.from(link as Buffer).copy(bytes, 157, 0, 100);
  bytes.write(fields.magic ?? 'ustar\x0000', 257, 'latin1');
  bytes.write(fields.prefix ?? '', 345);
  for (const [at, more] of Object.entries(fields.more ?? {})) more.copy(bytes, Number(at));
  const sum = bytes.reduce((total, byte) => total + byte, fields.checksumError ?? 0);
  bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return bytes;
}

function number(bytes: Buffer, at: number, length: number, value: number | Buffer): void {
  if (Buffer.isBuffer(value)) value.copy(bytes, at);
  else bytes.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at);
}

/** Makes a number in base 256, as fields of `length` bytes have it. */
export function base256(value: bigint, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let rest = value;
  for (let at = length - 1; at >= 0; at--) {
    bytes[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  bytes[0] = (bytes[0] ?? 0) | 0x80;
  return bytes;
}

/** Fills up contents to whole blocks. */
export function padded(contents: string | Buffer): Buffer {
  const bytes = Buffer.from(contents as Buffer);
  return Buffer.concat([bytes], Math.ceil(bytes.length / 512) * 512);
}

/** Makes a member with contents. */
export function member(fields: BlockFields, contents: string | Buffer = ''): Buffer {
  return Buffer.concat([block({ size: Buffer.byteLength(contents), ...fields }), padded(contents)]);
}

/** Makes an extended header of records. */
export function pax(...records: readonly (readonly [key: string, value: string | Buffer])[]): Buffer {
  const contents = Buffer.concat(
    records.map(([key, value]) => {
      const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value as Buffer), Buffer.from('\n')]);
      let length = rest.length + 1;
      while (rest.length + `${length}`.length !== length) length = rest.length + `${length}`.length;
      return Buffer.concat([Buffer.from(`${length}`), rest]);
    }),
  );
  return member({ name: 'PaxHeaders/file', type: 'x' }, contents);
}

export const END = Buffer.alloc(1024);

/** Joins parts and the end of an archive. */
export function archive(...parts: readonly Buffer[]): Buffer {
  return Buffer.concat([...parts, END]);
}

/** Makes a stream of bytes in pieces. */
export function streamOf(bytes: Uint8Array, pieceSize = 700): Readable {
  const pieces: Buffer[] = [];
  // Copies, since readers wipe what they have read.
  for (let at = 0; at < bytes.length; at += pieceSize) pieces.push(Buffer.from(bytes.subarray(at, at + pieceSize)));
  return Readable.from(pieces, { objectMode: false });
}

/** A member, and the bytes of it that the archive stores. */
export interface ReadMember extends Member {
  readonly stored: Buffer;
}

/** Reads a whole archive. @throws what the reader throws */
export async function readArchive(bytes: Uint8Array): Promise<ReadMember[]> {
  const reader = new ArchiveReader(new ByteStream(streamOf(bytes)), 'it');
  const members: ReadMember[] = [];
  for (let next = await reader.next(); next !== undefined; next = await reader.next()) {
    const pieces: Buffer[] = [];
    for (;;) {
      const piece = Buffer.alloc(300);
      const count = await reader.read(piece);
      if (count === 0) break;
      pieces.push(piece.subarray(0, count));
    }
    members.push({ ...next, stored: Buffer.concat(pieces) });
  }
  return members;
}
