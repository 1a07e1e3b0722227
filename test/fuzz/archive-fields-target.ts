import { archive, type BlockFields, base256, member, pax } from '../support/archives.ts';
import { checkArchive } from './archive-target.ts';
import type { Random } from './random.ts';
import type { FuzzTarget } from './target.ts';

/** What programs may read in different ways. */
const MAGICS = ['ustar\x0000', 'ustar\x0000', 'ustar  \0', '', 'ustar\0\0\0', 'ustar 00', 'ustar\x0001'];
const TYPES = ['0', '0', '\0', '1', '2', '3', '5', '6', '7', 'A', 'D', 'S', 'V'];
const NUMBERS = [
  '0000644\0',
  '\0',
  ' 12 ',
  '12 \0',
  '-1',
  '8',
  '7777777',
  '\x0017',
  '1\x002',
  '  \0',
  'A',
  '1 2',
  ' 4',
];
const WIDE = [base256(4n, 12), base256(1n << 60n, 12), Buffer.alloc(12, 0xff), Buffer.from('b000000000000004', 'hex')];
const NAMES = [
  'a',
  'a/',
  'a//b',
  './a',
  'a/./b',
  'a/.',
  '.',
  'a\0b',
  'é',
  'x'.repeat(100),
  'x/'.repeat(50),
  '',
  'a\\b',
];
const LONG_NAMES = [...NAMES, 'long'.repeat(40), 'long/'.repeat(40), 'x'.repeat(511), 'x'.repeat(512)];
const ENDS = ['', '\0', '\0', '\0\0', '\0x', '/', '/\0'];
const PREFIXES = ['p', 'p/', '/', './', 'p\0q', 'p'.repeat(155)];
const COUNTS = ['0', '1', '2', '4', '5', '04', ' 4', '+4', '-1', '4.0', '0x4', '4294967294', ''];
const TIMES = ['1', '1.5', '-1.5', '1.', '.5', '', '1.9999999999', '-0', '+1', '1e3'];
const MAPS = ['0,4', '0,2,2,2', '', '5,4', '4,0,0,4'];
/** Where a field has more bytes than it should, or where formats differ. */
const PLACES = [100, 107, 116, 123, 329, 337, 345, 369, 475, 476, 482, 483, 500, 508];
const BYTES = ['\0', ' ', '1', 'tar\0', '0', '00000000004\0'];
const CONTENTS = ['text', 'text', '', 'x'.repeat(600), '1\n0\n4\n'];
const RECORDS: Readonly<Record<string, readonly string[]>> = {
  path: NAMES,
  linkpath: NAMES,
  size: COUNTS,
  uid: COUNTS,
  mtime: TIMES,
  comment: ['x'],
  hdrcharset: ['BINARY'],
  'SCHILY.xattr.user.x': ['1', ''],
  'GNU.sparse.major': ['0', '1'],
  'GNU.sparse.minor': ['0', '1'],
  'GNU.sparse.name': NAMES,
  'GNU.sparse.realsize': COUNTS,
  'GNU.sparse.size': COUNTS,
  'GNU.sparse.numblocks': COUNTS,
  'GNU.sparse.map': MAPS,
  'GNU.sparse.offset': COUNTS,
  'GNU.sparse.numbytes': COUNTS,
};

/** Archives of headers and records with values at which programs differ. */
export const archiveFieldsTarget: FuzzTarget = {
  name: 'archive fields',
  prepare: () => ({
    attempt: (random) => {
      const input = oddArchive(random);
      return { input, check: () => checkArchive(input) };
    },
  }),
};

function oddArchive(random: Random): Buffer {
  const parts: Buffer[] = [];
  for (let left = random.below(3); left >= 0; left--) {
    const magic = random.pick(MAGICS);
    if (random.chance(2)) parts.push(oddRecords(random));
    if (random.chance(5)) parts.push(oddLongName(random, magic));
    parts.push(oddMember(random, magic));
  }
  return archive(...parts);
}

function oddRecords(random: Random): Buffer {
  const records: [string, string][] = [];
  for (let left = random.below(4); left >= 0; left--) {
    const key = random.pick(Object.keys(RECORDS));
    records.push([key, random.pick(RECORDS[key] ?? [])]);
  }
  return pax(...records);
}

function oddLongName(random: Random, magic: string): Buffer {
  return member({ magic, type: random.pick(['L', 'K']) }, `${random.pick(LONG_NAMES)}${random.pick(ENDS)}`);
}

function oddMember(random: Random, magic: string): Buffer {
  const type = random.pick(TYPES);
  const number = (length: number): Buffer =>
    random.chance(3) ? random.pick(WIDE).subarray(0, length) : Buffer.from(random.pick(NUMBERS));
  const fields: BlockFields = {
    magic,
    type,
    name: random.chance(2) ? 'name' : random.pick(NAMES),
    link: random.chance(2) ? '' : random.pick(NAMES),
    ...(random.chance(3) ? { prefix: random.pick(PREFIXES) } : {}),
    ...(random.chance(4) ? { mode: number(8) } : {}),
    ...(random.chance(4) ? { uid: number(8) } : {}),
    ...(random.chance(4) ? { mtime: number(12) } : {}),
    ...(random.chance(5) ? { size: number(12) } : {}),
    ...(random.chance(6) ? { more: { [random.pick(PLACES)]: Buffer.from(random.pick(BYTES)) } } : {}),
  };
  const hasContents = ['0', '\0', '7', 'S'].includes(type) || random.chance(8);
  return member(fields, hasContents ? random.pick(CONTENTS) : '');
}
