// Goal: other programs find in the archives that ckptfs writes or takes what ckptfs finds in them, or refuse them.
// Method: members as odd as can be are read by each program that there is; so are archives of random fields.
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { END_OF_ARCHIVE, encodeMember, type NewMember } from '../../src/archive/encode-member.ts';
import { archiveFieldsTarget } from '../fuzz/archive-fields-target.ts';
import { archiveTarget } from '../fuzz/archive-target.ts';
import { Random } from '../fuzz/random.ts';
import { archive, base256, block, member, padded, pax, readArchive } from '../support/archives.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import {
  type Listed,
  listedByBusybox,
  listedByGnuTar,
  listedByLibarchive,
  listedByPython,
  listedByUs,
  type PartlyListed,
} from './support/tar-readers.ts';

const SEED = Number(process.env['CKPTFS_SEED'] ?? 1);
/** Random archives of each kind. Most of them are refused by us. */
const RUNS = Number(process.env['CKPTFS_ARCHIVES'] ?? 2000);

const metadata = { mode: 0o640, uid: 0, gid: 0, mtime: { seconds: 1_234_567_890, nanoseconds: 0 }, xattrs: [] };
const file = (name: string | Buffer, size: number, more: Partial<NewMember> = {}): Buffer =>
  encodeMember({ ...metadata, path: Buffer.from(name as Buffer), type: 'file', size, ...more });
const linked = (name: string, type: 'link' | 'symlink', target: string): Buffer =>
  encodeMember({ ...metadata, path: Buffer.from(name), type, target: Buffer.from(target) });

/** What programs have to know no extended headers for. */
const plain = [
  encodeMember({ ...metadata, path: Buffer.from('d'), type: 'directory', mode: 0o1777 }),
  file('d/pages-1.img', 4),
  padded('text'),
  file('large-owner', 4, { uid: 0xffff_fffe, gid: 8 ** 7 }),
  padded('text'),
  linked('link', 'symlink', '../../elsewhere'),
  linked('again', 'link', 'd/pages-1.img'),
  encodeMember({ ...metadata, path: Buffer.from('fifo'), type: 'fifo', mode: 0o6755 }),
  file('old', 0, { mtime: { seconds: 8 ** 11, nanoseconds: 0 } }),
];
/** More than octal digits can say. */
const HUGE = 8 ** 11 + 512;

const runs = [
  { start: 4096, length: 3 },
  { start: 9000, length: 2 },
];
const extended = [
  file('n'.repeat(150), 4),
  padded('text'),
  file(`${'deep/'.repeat(60)}file`, 1, { mtime: { seconds: 5, nanoseconds: 5 } }),
  padded('x'),
  file(Buffer.from([0x66, 0xc3, 0xa9, 0x0a, 0x20, 0x3d]), 0),
  linked('long', 'symlink', 'target/'.repeat(30)),
  file('before-1970', 0, { mtime: { seconds: -5, nanoseconds: 0 } }),
  file('attributes', 0, { xattrs: [{ name: Buffer.from('user.a=%'), value: Buffer.from([0, 10, 255]) }] }),
];
const sparse = [
  file('sparse', 20_000, { ranges: runs }),
  padded('abcde'),
  file('s'.repeat(120), 20_000, { ranges: [] }),
  file('after', 4),
  padded('text'),
];

const gnu = { magic: 'ustar  \0' };
/** What ckptfs writes in no archive, but takes. */
const taken = [
  member({ magic: '', type: '\0', name: 'v7' }, 'text'),
  member({ magic: '', type: '\0', name: 'v7-directory/' }),
  member({ prefix: 'a/b', name: 'prefix' }),
  member({ prefix: 'a', name: 'star', more: { 476: Buffer.from('1'), 508: Buffer.from('tar\0') } }),
  block({ name: 'wide-size', size: base256(4n, 12) }),
  padded('text'),
  member({ name: 'wide-owner', uid: base256(4_294_967_294n, 8) }),
  member({ name: 'wide-time', mtime: Buffer.alloc(12, 0xff) }),
  member({ name: 'mode', mode: 0o100755 }),
  member({ name: 'spaces', mode: Buffer.from(' 644 \0  ') }),
  member({ name: './c//./d' }),
  member({ ...gnu, type: 'L' }, `${'l'.repeat(150)}\0`),
  member(gnu),
  member({ ...gnu, type: 'L', name: 'without a NUL' }, 'm'.repeat(150)),
  member(gnu),
  pax(['path', 'p'.repeat(150)], ['size', '4'], ['uid', '7'], ['gid', '8'], ['mtime', '12.75'], ['comment', 'x']),
  block({ name: 'short', mtime: 1 }),
  padded('text'),
  pax(['size', '4']),
  block({ name: 'another-size', size: 8 }),
  padded('text'),
  member({ name: 'contiguous', type: '7' }, 'text'),
];

/** At these libarchive 3.6 crashes when it makes a list. */
const longTargets = [
  member({ ...gnu, name: 'target' }),
  member({ ...gnu, type: 'K' }, `${'k'.repeat(150)}\0`),
  member({ ...gnu, type: '2', name: 'long-link' }),
  member({ ...gnu, type: 'K' }, './/target\0'),
  member({ ...gnu, type: '1', name: 'again' }),
];

describeIf(['tar', 'python'], 'other programs', () => {
  const base = mkdtempSync(join(tmpdir(), 'ckptfs-readers-'));
  afterAll(() => rmSync(base, { recursive: true }));
  const named = (name: string, parts: readonly Buffer[]): string => {
    const path = join(base, name);
    writeFileSync(path, archive(...parts));
    return path;
  };

  /** Compares what a program shows. */
  function compare(theirs: readonly PartlyListed[], ours: readonly Listed[]): void {
    expect(theirs.map(({ name }) => name)).toEqual(ours.map(({ name }) => name));
    for (const [at, each] of theirs.entries()) expect(ours[at]).toMatchObject(each);
  }

  const sorted = <T extends PartlyListed>(list: readonly T[]): T[] =>
    [...list].sort((a, b) => (a.name < b.name ? -1 : 1));
  /** libarchive shows hard links as files, without their targets, and digests of what is stored of sparse files. */
  const asLibarchive = (list: readonly Listed[]): PartlyListed[] =>
    sorted(list).map(({ type, target, digest, size, ...rest }) => ({
      ...rest,
      size,
      type: type === 'link' ? 'file' : type,
      ...(type === 'symlink' ? { target } : {}),
      ...(type === 'file' && size < 20_000 ? { digest } : {}),
    }));

  const archives = { plain, extended, sparse, taken, longTargets } as const;
  for (const [name, parts] of Object.entries(archives)) {
    const read = async (): Promise<[path: string, ours: Listed[]]> => {
      const path = named(name, parts);
      return [path, listedByUs(await readArchive(archive(...parts)))];
    };

    systemTest([], `GNU tar and Python find what we find: ${name}`, async () => {
      const [path, ours] = await read();
      expect(ours.length).toBeGreaterThan(2);
      compare(listedByGnuTar(path), ours);
      const [python] = listedByPython([path]);
      expect(python).toEqual(ours);
    });

    if (parts === longTargets) continue;
    systemTest(['bsdtar'], `libarchive finds what we find: ${name}`, async () => {
      const [path, ours] = await read();
      expect(sorted(listedByLibarchive(path))).toMatchObject(asLibarchive(ours));
    });
  }

  systemTest(['busybox'], 'busybox finds what we write in headers', async () => {
    compare(listedByBusybox(named('plain', plain)), listedByUs(await readArchive(archive(...plain))));
  });

  systemTest(['busybox'], 'a file of more than 8 GiB', () => {
    const path = join(base, 'huge');
    const [head, next] = [file('huge', HUGE), file('next', 0)];
    const fd = openSync(path, 'w');
    writeSync(fd, head, 0, head.length, 0);
    writeSync(fd, next, 0, next.length, head.length + HUGE);
    writeSync(fd, END_OF_ARCHIVE, 0, END_OF_ARCHIVE.length, head.length + HUGE + next.length);
    closeSync(fd);
    const sizes = [
      ['huge', HUGE],
      ['next', 0],
    ];
    for (const list of [listedByGnuTar(path), listedByBusybox(path), listedByPython([path])[0]]) {
      expect(list?.map(({ name, size }) => [name, size])).toEqual(sizes);
    }
  });

  for (const target of [archiveTarget, archiveFieldsTarget]) {
    systemTest([], `Python finds in random archives what we find, or refuses them: ${target.name}`, async () => {
      const accepted = new Map<string, Listed[]>();
      const { attempt } = target.prepare();
      for (let index = 0; index < RUNS; index++) {
        const { input } = attempt(new Random(SEED, index));
        const bytes = Buffer.from(input as Uint8Array);
        const members = await readArchive(bytes).catch(() => undefined);
        if (members === undefined || members.some(({ size }) => size > 1 << 20)) continue;
        const path = join(base, `${target.name}-${SEED}-${index}`);
        writeFileSync(path, bytes);
        accepted.set(path, listedByUs(members));
      }
      const lists = listedByPython([...accepted.keys()]);
      let same = 0;
      for (const [at, [path, ours]] of [...accepted].entries()) {
        const theirs = lists[at];
        if (theirs === undefined) continue;
        expect(theirs, path).toEqual(ours);
        same++;
      }
      expect(same).toBeGreaterThan(RUNS / 50);
    });
  }
});
