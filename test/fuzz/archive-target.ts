import { encodeMember } from '../../src/archive/encode-member.ts';
import { checksumsOf } from '../../src/archive/header-fields.ts';
import { CkptfsError } from '../../src/base/errors.ts';
import { archive, base256, block, member, padded, pax, type ReadMember, readArchive } from '../support/archives.ts';
import { mutate } from './mutate.ts';
import { type FuzzTarget, must } from './target.ts';

const BLOCK_SIZE = 512;
const MAGIC_OFFSET = 257;

/** Archives of any format: what is read of one is within its tree and its bytes, and is read the same again. */
export const archiveTarget: FuzzTarget = {
  name: 'archive',
  prepare: () => {
    const seeds = archiveSeeds();
    return {
      attempt: (random) => {
        const input = mutate(random.pick(seeds), random);
        if (!random.chance(8)) rightChecksums(input);
        return { input, check: () => checkArchive(input) };
      },
    };
  },
};

function archiveSeeds(): Buffer[] {
  const gnu = { magic: 'ustar  \0' };
  const sparse = (...records: [string, string][]) =>
    pax(...records.map(([key, value]) => [`GNU.sparse.${key}`, value] as const));
  const entry = (offset: number, length: number): Buffer =>
    Buffer.from([offset, length].map((each) => `${each.toString(8).padStart(11, '0')}\0`).join(''));
  const map = Buffer.concat([0, 1, 2, 3].map((at) => entry(at * 4096, 1)));
  const real = entry(20_000, 0).subarray(0, 12);
  return [
    archive(
      member({ name: 'd/', type: '5' }),
      member({ name: 'd/file' }, 'text'),
      member({ type: '1', link: 'd/file' }),
    ),
    archive(
      pax(['path', 'long/'.repeat(40)], ['mtime', '12.25'], ['SCHILY.xattr.user.x', 'y']),
      member({ type: '5' }),
      pax(['size', '4'], ['uid', '3000000'], ['gid', '7'], ['linkpath', 'elsewhere']),
      member({ name: 'file' }, 'text'),
    ),
    archive(member({ ...gnu, type: 'L' }, `${'n'.repeat(120)}\0`), member(gnu, 'text'), member(gnu, 'next')),
    archive(
      member({ ...gnu, type: 'K' }, `${'n'.repeat(120)}\0`),
      member({ ...gnu, type: 'L' }, `${'m'.repeat(110)}\0`),
      member({ ...gnu, type: '2' }),
      member({ magic: '', type: '\0', name: 'old/' }),
      member({ magic: '', type: '\0', name: 'old/file' }, 'text'),
    ),
    archive(
      member({ size: base256(4n, 12), uid: base256(3_000_000n, 8), mtime: Buffer.alloc(12, 0xff) }, 'text'),
      member({ prefix: 'prefix', name: 'name' }, 'text'),
      member({ prefix: 'a', name: 'star', more: { 508: Buffer.from('tar\0'), 476: Buffer.from('1') } }, 'text'),
      member({ type: 'g' }, '13 comment=x\n'),
      member({ name: 'last' }, 'text'),
    ),
    archive(sparse(['size', '9000'], ['numblocks', '2'], ['map', '0,2,4096,2']), member({}, 'text')),
    archive(
      sparse(
        ['size', '9000'],
        ['numblocks', '2'],
        ['offset', '0'],
        ['numbytes', '2'],
        ['offset', '4096'],
        ['numbytes', '2'],
      ),
      member({}, 'text'),
    ),
    archive(
      sparse(['major', '1'], ['minor', '0'], ['name', 'sparse'], ['realsize', '9000']),
      member({}, Buffer.concat([padded('2\n0\n2\n4096\n2\n'), Buffer.from('text')])),
      member({ name: 'next' }, 'text'),
    ),
    archive(
      block({ ...gnu, type: 'S', size: 5, more: { 386: map, 482: Buffer.of(1), 483: real } }),
      Buffer.concat([entry(17_000, 1), entry(20_000, 0)], BLOCK_SIZE),
      padded('abcde'),
      member({ ...gnu, name: 'next' }, 'text'),
    ),
  ];
}

/** Without them hardly anything but checksums would be tested. */
function rightChecksums(bytes: Buffer): void {
  for (let at = 0; at + BLOCK_SIZE <= bytes.length; at += BLOCK_SIZE) {
    const block = bytes.subarray(at, at + BLOCK_SIZE);
    if (block.toString('latin1', MAGIC_OFFSET, MAGIC_OFFSET + 5) !== 'ustar') continue;
    block.write(`${checksumsOf(block)[0].toString(8).padStart(6, '0')}\0 `, 148);
  }
}

/** Reads it, and what is written of what was read. @throws Error when a property does not hold */
export async function checkArchive(input: Buffer): Promise<string> {
  try {
    const members = await readArchive(input);
    for (const each of members) checkMember(each);
    const parts = members.filter(({ type }) => type !== 'device').flatMap(encoded);
    const again = await readArchive(archive(...parts));
    must(
      shown(again) === shown(members.filter(({ type }) => type !== 'device')),
      'is not the same when it is read again',
    );
    return 'ok';
  } catch (error) {
    if (!(error instanceof CkptfsError)) throw error;
    must(error.code === 'unsupported-source', `refused with ${error.code}`);
    must(/^[^\p{Cc}]{1,2000}$/u.test(error.message), 'a message with controls in it');
    return error.data?.reason ?? '';
  }
}

function checkMember({ path, type, size, ranges, stored }: ReadMember): void {
  const names = path.map((name) => name.toString('latin1'));
  must(
    names.every((name) => !['', '.', '..'].includes(name) && !/[/\0]/.test(name)),
    'a name that leads elsewhere',
  );
  must(type === 'file' || (size === 0 && stored.length === 0), 'contents of what is no file');
  let end = 0;
  for (const { start, length } of ranges) {
    must(start >= end && length > 0, 'runs out of order');
    end = start + length;
  }
  must(end <= size, 'runs beyond the end');
  must(ranges.reduce((sum, { length }) => sum + length, 0) === stored.length, 'bytes that are not in the runs');
}

function encoded({ type, path, stored, size, ranges, ...member }: ReadMember): Buffer[] {
  const names = Buffer.concat(path.flatMap((name, at) => (at === 0 ? [name] : [Buffer.from('/'), name])));
  // The root has no member in what is written.
  if (path.length === 0 || type === 'device') return [];
  const isWhole = stored.length === size;
  return [encodeMember({ ...member, type, path: names, size, ...(isWhole ? {} : { ranges }) }), padded(stored)];
}

function shown(members: readonly ReadMember[]): string {
  const texts = members.map(({ name: _name, atime: _atime, hasOtherAttributes: _other, path, ...rest }) =>
    path.length === 0 ? undefined : JSON.stringify([path, rest]),
  );
  return texts.filter((text) => text !== undefined).join('\n');
}
