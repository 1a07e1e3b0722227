import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeMember, type NewMember } from '../../../src/archive/encode-member.ts';
import { decodeHeader } from '../../../src/archive/header.ts';
import { archive, padded, readArchive } from '../../support/archives.ts';

const name = fc
  .uint8Array({ minLength: 1, maxLength: 200 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f || byte === 0x2e ? 0x78 : byte))));
const path = fc
  .array(name, { minLength: 1, maxLength: 3 })
  .map((names) => Buffer.from(names.map((each) => each.toString('latin1')).join('/'), 'latin1'));
const time = fc.record({ seconds: fc.maxSafeInteger(), nanoseconds: fc.integer({ min: 0, max: 999_999_999 }) });
const xattr = fc.record({
  name: name.map((bytes) => Buffer.concat([Buffer.from('user.'), bytes])),
  value: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
});
const xattrs = fc
  .uniqueArray(xattr, { maxLength: 3, selector: (each) => each.name.toString('latin1') })
  .map((list) => list.sort((a, b) => a.name.compare(b.name)));
const id = fc.integer({ min: 0, max: 0xffff_fffe });
const common = { path, mode: fc.integer({ min: 0, max: 0o7777 }), uid: id, gid: id, mtime: time, xattrs };
const link = fc.record({ ...common, type: fc.constantFrom('symlink', 'link' as const), target: path });
const other = fc.record({ ...common, type: fc.constantFrom('directory', 'fifo' as const) });

test('any member is read as it was written', async () => {
  await fc.assert(
    fc.asyncProperty(fc.oneof(link, other), async (member: NewMember) => {
      const [read] = await readArchive(archive(encodeMember(member)));
      const { path: bytes, ...rest } = member;
      expect(read).toMatchObject({ ...rest, hasOtherAttributes: false });
      expect(Buffer.from(read?.path.map((each) => each.toString('latin1')).join('/') ?? '', 'latin1')).toEqual(bytes);
    }),
    { numRuns: 300 },
  );
});

const runs = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 700 })), { maxLength: 40 })
  .map((pairs) => {
    let at = 0;
    return pairs.map(([gap, length]) => {
      const range = { start: at + gap, length };
      at += gap + length;
      return range;
    });
  });

test('any file with holes is read as it was written', async () => {
  await fc.assert(
    fc.asyncProperty(runs, fc.integer({ min: 0, max: 5000 }), async (ranges, hole) => {
      const [total, last] = [ranges.reduce((sum, { length }) => sum + length, 0), ranges.at(-1)];
      const size = (last === undefined ? 0 : last.start + last.length) + hole;
      const contents = Buffer.alloc(total, 'contents');
      const metadata = { mode: 0o600, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 }, xattrs: [] };
      const member = encodeMember({ path: Buffer.from('file'), type: 'file', ...metadata, size, ranges });
      expect(await readArchive(archive(member, padded(contents)))).toMatchObject([{ size, ranges, stored: contents }]);
    }),
    { numRuns: 200 },
  );
});

test('what a header can say needs no extended header', () => {
  const metadata = { mode: 0o644, uid: 1000, gid: 1000, mtime: { seconds: 1_800_000_000, nanoseconds: 0 }, xattrs: [] };
  const member = encodeMember({
    path: Buffer.from('checkpoint/pages-1.img'),
    type: 'file',
    ...metadata,
    size: 8 ** 11 - 1,
  });
  expect(member).toHaveLength(512);
});

test('large and negative numbers are in the header too, for programs that know no extended headers', async () => {
  const mtime = { seconds: -5, nanoseconds: 250_000_000 };
  const numbers = { mode: 0o600, uid: 0xffff_fffe, gid: 8 ** 7, mtime, xattrs: [], size: 8 ** 11 };
  const member = encodeMember({ path: Buffer.from('pages-1.img'), type: 'file', ...numbers });
  const own = decodeHeader(member.subarray(-512));
  expect(own).toMatchObject({ uid: 0xffff_fffe, gid: 8 ** 7, size: 8 ** 11, mtime: -5 });
  expect(member.length).toBeGreaterThan(512);
});
