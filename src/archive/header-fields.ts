import { MalformedError } from '../base/bytes.ts';

/** Where the fields of a header block are: offset and length in bytes (POSIX.1-2017, pax; GNU tar, tar.h). */
export const FIELDS = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  type: [156, 1],
  link: [157, 100],
  magic: [257, 8],
  deviceMajor: [329, 8],
  deviceMinor: [337, 8],
  prefix: [345, 155],
  /** In headers of star, in which a shorter prefix precedes it. */
  starPrefix: [345, 131],
  starTrailer: [508, 4],
  /** In headers of GNU tar, in place of the prefix. */
  gnuOffset: [369, 12],
  gnuIsExtended: [482, 1],
  gnuRealSize: [483, 12],
} as const satisfies Record<string, readonly [offset: number, length: number]>;

/** The first byte of a number in base 256. */
const POSITIVE = 0x80;
const NEGATIVE = 0xff;
/** Bytes that a number in base 256 has at most. */
const BIG_SIZE = 8;

export type FieldName = keyof typeof FIELDS;

/** Returns the bytes of a field. */
export function fieldOf(block: Buffer, name: FieldName): Buffer {
  const [offset, length] = FIELDS[name];
  return block.subarray(offset, offset + length);
}

/** Returns the bytes of a field up to the first NUL. */
export function textOf(field: Buffer): Buffer {
  const end = field.indexOf(0);
  return end < 0 ? field : field.subarray(0, end);
}

/**
 * Reads a number: octal digits, which spaces may precede, and spaces and NULs follow; or two's complement in base 256
 * after a byte that is 0x80 or, for what is negative, 0xff. An empty field is 0. Programs read other bytes in different
 * ways. What is beyond 2^53 is not exact: the caller refuses it.
 * @throws MalformedError
 */
export function numberOf(field: Buffer, what: string): number {
  const [first] = field;
  if (first === POSITIVE || first === NEGATIVE) {
    const start = first === NEGATIVE ? -1n : 0n;
    return Number(field.subarray(1).reduce((value, byte) => value * 256n + BigInt(byte), start));
  }
  const text = field.toString('latin1');
  const [, digits] = /^ *([0-7]+)[ \0]*$/.exec(text) ?? [];
  if (digits === undefined && !/^[ \0]*$/.test(text)) throw new MalformedError(`a ${what} that is no number`);
  return digits === undefined ? 0 : Number.parseInt(digits, 8);
}

/** Returns whether a number can be in a field as octal digits with a NUL at the end. */
export function fitsOctal(name: FieldName, value: number): boolean {
  return value >= 0 && value < 8 ** (FIELDS[name][1] - 1);
}

/** Writes a whole number as {@link numberOf} reads it: in base 256 only where octal digits have no place. */
export function putNumber(block: Buffer, name: FieldName, value: number): void {
  const [offset, length] = FIELDS[name];
  if (fitsOctal(name, value)) {
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, 'latin1');
    return;
  }
  const digits = Buffer.alloc(BIG_SIZE);
  digits.writeBigInt64BE(BigInt(value));
  const bytes = Buffer.alloc(length, value < 0 ? NEGATIVE : 0);
  digits.copy(bytes, Math.max(0, length - BIG_SIZE));
  bytes.writeUInt8(value < 0 ? NEGATIVE : POSITIVE);
  bytes.copy(block, offset);
}

/** Returns the sums of a header block, its checksum counted as spaces: of unsigned bytes, and of signed ones. */
export function checksumsOf(block: Buffer): readonly [unsigned: number, signed: number] {
  const [start, length] = FIELDS.checksum;
  let [unsigned, signed] = [0, 0];
  for (const [at, byte] of block.entries()) {
    const value = at >= start && at < start + length ? 0x20 : byte;
    unsigned += value;
    signed += value > 127 ? value - 256 : value;
  }
  return [unsigned, signed];
}
