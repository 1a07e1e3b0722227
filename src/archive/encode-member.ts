import type { Time } from '../base/time.ts';
import type { XattrList } from '../format/xattrs.ts';
import { BLOCK_SIZE, paddingOf } from './blocks.ts';
import { checksumsOf, FIELDS, type FieldName, fitsOctal, putNumber } from './header-fields.ts';
import { encodePax, type PaxRecord, paxTimeText } from './pax-records.ts';
import { type DataRange, encodeMap } from './sparse-map.ts';

/** A member to be written. */
export interface NewMember {
  /** From the root down, "/" between names, none in front and none at the end; raw bytes. */
  readonly path: Buffer;
  readonly type: 'file' | 'directory' | 'symlink' | 'link' | 'fifo';
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Time;
  /** What a symbolic link leads to; for a hard link the path of a member before it. */
  readonly target?: Buffer;
  /** Bytes of a file, with its holes. */
  readonly size?: number;
  /** Where a file has data that is stored, if its holes are not. */
  readonly ranges?: readonly DataRange[];
  readonly xattrs: XattrList;
}

const FLAGS = { file: '0', link: '1', symlink: '2', directory: '5', fifo: '6' } as const;
/** Directories of names that only programs see which do not know the extensions. */
const PAX_NAME = 'PaxHeaders/';
const SPARSE_NAME = 'GNUSparseFile.0/';

/** The two blocks of zeros that end an archive. */
export const END_OF_ARCHIVE = Buffer.alloc(2 * BLOCK_SIZE);

/**
 * Returns what precedes the contents of a member: a header as ustar has it, an extended header for what that cannot
 * say, and the map of a sparse file (PAX format 1.0). Numbers that are in an extended header are in the header too, in
 * base 256, for programs that read only that. The same member always gives the same bytes.
 */
export function encodeMember(member: NewMember): Buffer {
  const { path, type, target = Buffer.alloc(0), size = 0, ranges, mtime, xattrs } = member;
  const map = ranges && encodeMap({ size, ranges });
  const stored = ranges && map ? ranges.reduce((sum, { length }) => sum + length, map.length) : size;
  const shown = ranges ? Buffer.concat([Buffer.from(SPARSE_NAME), path]) : path;
  const name = type === 'directory' ? Buffer.concat([path, Buffer.from('/')]) : shown;
  const numbers = { uid: member.uid, gid: member.gid, size: stored };
  const records: PaxRecord[] = [
    ...(name.length > FIELDS.name[1] ? [{ key: 'path', value: name }] : []),
    ...(target.length > FIELDS.link[1] ? [{ key: 'linkpath', value: target }] : []),
    ...Object.entries(numbers).flatMap(([key, value]) =>
      fitsOctal(key as FieldName, value) ? [] : [text(key, `${value}`)],
    ),
    ...(mtime.nanoseconds !== 0 || !fitsOctal('mtime', mtime.seconds) ? [text('mtime', paxTimeText(mtime))] : []),
    ...xattrs.map((each) => ({ key: `SCHILY.xattr.${encodedKey(each.name)}`, value: each.value })),
    ...(ranges ? [text('GNU.sparse.major', '1'), text('GNU.sparse.minor', '0')] : []),
    ...(ranges ? [{ key: 'GNU.sparse.name', value: path }, text('GNU.sparse.realsize', `${size}`)] : []),
  ];
  const own = header(name, FLAGS[type], { mode: member.mode, ...numbers, mtime: mtime.seconds }, target);
  return Buffer.concat([...(records.length === 0 ? [] : extendedHeader(path, records)), own, ...(map ? [map] : [])]);
}

function extendedHeader(path: Buffer, records: readonly PaxRecord[]): Buffer[] {
  const contents = encodePax(records);
  const name = Buffer.concat([Buffer.from(PAX_NAME), path.subarray(path.lastIndexOf('/') + 1)]);
  const numbers = { mode: 0o644, uid: 0, gid: 0, size: contents.length, mtime: 0 };
  return [header(name, 'x', numbers), contents, Buffer.alloc(paddingOf(contents.length))];
}

type Numbers = Readonly<Record<'mode' | 'uid' | 'gid' | 'size' | 'mtime', number>>;

/** Makes a header block. Names are cut that have no place in it. */
function header(name: Buffer, flag: string, numbers: Numbers, target: Buffer = Buffer.alloc(0)): Buffer {
  const block = Buffer.alloc(BLOCK_SIZE);
  name.copy(block, FIELDS.name[0], 0, FIELDS.name[1]);
  target.copy(block, FIELDS.link[0], 0, FIELDS.link[1]);
  for (const key of ['mode', 'uid', 'gid', 'size', 'mtime'] as const) {
    putNumber(block, key, numbers[key]);
  }
  block.write(flag, FIELDS.type[0], 'latin1');
  block.write('ustar\x0000', FIELDS.magic[0], 'latin1');
  const [sum] = checksumsOf(block);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, FIELDS.checksum[0], 'latin1');
  return block;
}

function text(key: string, value: string): PaxRecord {
  return { key, value: Buffer.from(value, 'latin1') };
}

/** As star and GNU tar do it, since a key of a record ends with the first "=". */
function encodedKey(name: Buffer): string {
  return name.toString('latin1').replace(/%/g, '%25').replace(/=/g, '%3D');
}
