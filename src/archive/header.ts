import { MalformedError } from '../base/bytes.ts';
import { isZero } from './blocks.ts';
import { checksumsOf, FIELDS, fieldOf, numberOf, textOf } from './header-fields.ts';

/** What a header block says, before extensions of the member change it. */
export interface Header {
  /** Raw bytes. */
  readonly name: Buffer;
  readonly link: Buffer;
  /** The type flag, one character. */
  readonly type: string;
  /** Permission bits. */
  readonly mode: number;
  /** Numbers may be beyond every range, and are not exact beyond 2^53. */
  readonly uid: number;
  readonly gid: number;
  /** Bytes of contents that follow, without padding. */
  readonly size: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** Whether GNU tar's fields are where POSIX has the prefix of the name. */
  readonly isGnu: boolean;
}

/** The type flag of a sparse file of GNU tar, which has its map in the header. */
const SPARSE_FLAG = 'S';
const SLASH = Buffer.from('/');

/**
 * Reads a header block of any of the formats v7, ustar, pax, GNU and star.
 * @throws MalformedError
 */
export function decodeHeader(block: Buffer): Header {
  const checksum = numberOf(fieldOf(block, 'checksum'), 'checksum');
  if (!checksumsOf(block).includes(checksum)) throw new MalformedError('a header with a wrong checksum');
  const format = formatOf(block);
  const type = fieldOf(block, 'type').toString('latin1');
  // Some programs end the archive at a header with others, of whatever type.
  for (const field of ['deviceMajor', 'deviceMinor'] as const) numberOf(fieldOf(block, field), 'device');
  if (format !== 'ustar') checkNoPrefix(block, format === 'gnu' && type === SPARSE_FLAG);
  return {
    name: format === 'ustar' ? prefixedName(block) : nameOf(block),
    link: Buffer.from(textOf(fieldOf(block, 'link'))),
    type,
    // Some writers put the type of the file above the permission bits.
    mode: permissionsOf(numberOf(fieldOf(block, 'mode'), 'mode')),
    uid: numberOf(fieldOf(block, 'uid'), 'owner'),
    gid: numberOf(fieldOf(block, 'gid'), 'group'),
    size: numberOf(fieldOf(block, 'size'), 'size'),
    mtime: numberOf(fieldOf(block, 'mtime'), 'time'),
    isGnu: format === 'gnu',
  };
}

type Format = 'v7' | 'ustar' | 'gnu';

function formatOf(block: Buffer): Format {
  const magic = fieldOf(block, 'magic');
  if (isZero(magic)) return 'v7';
  const text = magic.toString('latin1');
  if (text === 'ustar  \0') return 'gnu';
  // Some programs look at the version that follows, and some do not.
  if (text === 'ustar\x0000' || text === 'ustar\0\0\0') return 'ustar';
  throw new MalformedError('a header of a format that is not known');
}

/** Some programs take for a prefix of the name what is in its place in formats that have none. */
function checkNoPrefix(block: Buffer, hasMap: boolean): void {
  const [start, length] = FIELDS.prefix;
  const end = hasMap ? FIELDS.gnuOffset[0] : start + length;
  if (!isZero(block.subarray(start, end))) throw new MalformedError('a prefix of a name in a format without it');
}

function nameOf(block: Buffer): Buffer {
  return Buffer.from(textOf(fieldOf(block, 'name')));
}

function prefixedName(block: Buffer): Buffer {
  const prefix = textOf(fieldOf(block, 'prefix'));
  const isStar = fieldOf(block, 'starTrailer').toString('latin1') === 'tar\0';
  if (isStar && prefix.length >= FIELDS.starPrefix[1]) throw new MalformedError('a prefix of a name without its end');
  const name = nameOf(block);
  if (prefix.length === 0) return name;
  if (name.length === 0) throw new MalformedError('a prefix without a name');
  return Buffer.concat([prefix, SLASH, name]);
}

function permissionsOf(mode: number): number {
  if (!Number.isSafeInteger(mode) || mode < 0) throw new MalformedError('a mode out of range');
  return mode % 0o10000;
}
