import { MalformedError } from '../base/bytes.ts';
import { checksumsOf, fieldOf, numberOf, textOf } from './header-fields.ts';

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

const SLASH = Buffer.from('/');

/**
 * Reads a header block of any of the formats v7, ustar, pax, GNU and star.
 * @throws MalformedError
 */
export function decodeHeader(block: Buffer): Header {
  const checksum = numberOf(fieldOf(block, 'checksum'), 'checksum');
  if (!checksumsOf(block).includes(checksum)) throw new MalformedError('a header with a wrong checksum');
  const magic = fieldOf(block, 'magic').toString('latin1');
  const isGnu = magic === 'ustar  \0';
  return {
    name: nameOf(block, magic.startsWith('ustar\0')),
    link: Buffer.from(textOf(fieldOf(block, 'link'))),
    type: fieldOf(block, 'type').toString('latin1'),
    // Some writers put the type of the file above the permission bits.
    mode: permissionsOf(numberOf(fieldOf(block, 'mode'), 'mode')),
    uid: numberOf(fieldOf(block, 'uid'), 'owner'),
    gid: numberOf(fieldOf(block, 'gid'), 'group'),
    size: numberOf(fieldOf(block, 'size'), 'size'),
    mtime: numberOf(fieldOf(block, 'mtime'), 'time'),
    isGnu,
  };
}

function nameOf(block: Buffer, hasPrefix: boolean): Buffer {
  const name = textOf(fieldOf(block, 'name'));
  if (!hasPrefix) return Buffer.from(name);
  const isStar = fieldOf(block, 'starTrailer').toString('latin1') === 'tar\0';
  const prefix = textOf(fieldOf(block, isStar ? 'starPrefix' : 'prefix'));
  return prefix.length === 0 ? Buffer.from(name) : Buffer.concat([prefix, SLASH, name]);
}

function permissionsOf(mode: number): number {
  if (!Number.isSafeInteger(mode) || mode < 0) throw new MalformedError('a mode out of range');
  return mode % 0o10000;
}
