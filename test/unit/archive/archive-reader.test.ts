import { describe, expect, test } from 'vitest';
import { archive, base256, block, END, member, padded, pax, readArchive } from '../../support/archives.ts';

const long = 'n'.repeat(150);
const gnu = { magic: 'ustar  \0' };

/** Makes an entry of a sparse map as GNU tar has it. */
function entry(offset: number, length: number): Buffer {
  return Buffer.from([offset, length].map((each) => `${each.toString(8).padStart(11, '0')}\0`).join(''));
}

describe('what an archive has', () => {
  test.each([
    ['a file of v7', member({ magic: '', type: '\0' }, 'text'), { type: 'file', size: 4 }],
    ['a directory of v7', member({ magic: '', type: '\0', name: 'd/' }), { type: 'directory' }],
    ['a name with a prefix', member({ prefix: 'a/b', name: 'c' }), { name: Buffer.from('a/b/c') }],
    [
      'a prefix of star',
      member({ prefix: 'a', more: { 508: Buffer.from('tar\0'), 476: Buffer.from('1') } }),
      {
        name: Buffer.from('a/file'),
      },
    ],
    ['a size in base 256', Buffer.concat([block({ size: base256(4n, 12) }), padded('text')]), { size: 4 }],
    [
      'a time before 1970 in base 256',
      member({ mtime: Buffer.alloc(12, 0xff) }),
      {
        mtime: { seconds: -1, nanoseconds: 0 },
      },
    ],
    ['an owner in base 256', member({ uid: base256(4294967294n, 8) }), { uid: 4294967294 }],
    ['the type of the file in the mode', member({ mode: 0o100755 }), { mode: 0o755 }],
    [
      'a long name of GNU tar',
      Buffer.concat([member({ ...gnu, type: 'L' }, `${long}\0`), member(gnu)]),
      {
        name: Buffer.from(long),
      },
    ],
    [
      'a long link of GNU tar',
      Buffer.concat([member({ type: 'K' }, `${long}\0`), member({ type: '2' })]),
      {
        target: Buffer.from(long),
      },
    ],
    [
      'names in PAX records',
      Buffer.concat([pax(['path', long], ['linkpath', 'x']), member({ type: '2' })]),
      {
        name: Buffer.from(long),
        target: Buffer.from('x'),
      },
    ],
    [
      'a name that is no UTF-8',
      Buffer.concat([pax(['path', Buffer.of(0x66, 0xff)]), member({})]),
      {
        path: [Buffer.of(0x66, 0xff)],
      },
    ],
    [
      'numbers in PAX records',
      Buffer.concat([pax(['size', '4'], ['uid', '7'], ['gid', '8']), block({}), padded('text')]),
      {
        size: 4,
        uid: 7,
        gid: 8,
      },
    ],
    [
      'times in PAX records',
      Buffer.concat([pax(['mtime', '-1.25'], ['atime', '3.0000000019']), member({})]),
      {
        mtime: { seconds: -2, nanoseconds: 750_000_000 },
        atime: { seconds: 3, nanoseconds: 1 },
      },
    ],
    [
      'attributes',
      Buffer.concat([pax(['SCHILY.xattr.user.b', 'x\n'], ['SCHILY.xattr.user.a%3D', Buffer.of(0)]), member({})]),
      {
        xattrs: [
          { name: Buffer.from('user.a='), value: Buffer.of(0) },
          { name: Buffer.from('user.b'), value: Buffer.from('x\n') },
        ],
        hasOtherAttributes: false,
      },
    ],
    [
      'attributes that an image does not keep',
      Buffer.concat([pax(['SCHILY.xattr.security.x', '1']), member({})]),
      {
        xattrs: [],
        hasOtherAttributes: true,
      },
    ],
    [
      'a comment for all members',
      Buffer.concat([member({ type: 'g' }, '13 comment=x\n'), member({})]),
      { type: 'file' },
    ],
    [
      'a record that means nothing here',
      Buffer.concat([pax(['uname', 'ada'], ['SCHILY.dev', '5']), member({})]),
      { uid: 0 },
    ],
    ['a name with "." and empty parts', member({ name: './a//./b' }), { path: [Buffer.from('a'), Buffer.from('b')] }],
    ['the root', member({ name: './', type: '5' }), { path: [], type: 'directory' }],
  ] as const)('%s', async (_, bytes, expected) => {
    expect(await readArchive(archive(bytes))).toMatchObject([expected]);
  });

  const map = {
    size: 20_000,
    ranges: [
      { start: 4096, length: 3 },
      { start: 9000, length: 2 },
    ],
    stored: Buffer.from('abcde'),
  };
  const map1 = padded('2\n4096\n3\n9000\n2\n');
  const sparse = (...records: [string, string][]) =>
    pax(...records.map(([key, value]) => [`GNU.sparse.${key}`, value] as const));
  test.each([
    [
      'GNU tar',
      member(
        {
          ...gnu,
          type: 'S',
          more: { 386: entry(4096, 3), 410: entry(9000, 2), 483: entry(20_000, 0).subarray(0, 12) },
        },
        'abcde',
      ),
    ],
    [
      'GNU tar, with a block more',
      Buffer.concat([
        block({
          ...gnu,
          size: 5,
          type: 'S',
          more: {
            386: Buffer.concat([entry(0, 0), entry(0, 0), entry(0, 0), entry(4096, 3)]),
            482: Buffer.of(1),
            483: entry(20_000, 0).subarray(0, 12),
          },
        }),
        Buffer.concat([entry(9000, 2), entry(20_000, 0)], 512),
        padded('abcde'),
      ]),
    ],
    [
      'PAX 0.0',
      Buffer.concat([
        sparse(
          ['size', '20000'],
          ['numblocks', '2'],
          ['offset', '4096'],
          ['numbytes', '3'],
          ['offset', '9000'],
          ['numbytes', '2'],
        ),
        member({}, 'abcde'),
      ]),
    ],
    [
      'PAX 0.1',
      Buffer.concat([
        sparse(['size', '20000'], ['numblocks', '2'], ['name', 'file'], ['map', '4096,3,9000,2']),
        member({ name: 'x' }, 'abcde'),
      ]),
    ],
    [
      'PAX 1.0',
      Buffer.concat([
        sparse(['major', '1'], ['minor', '0'], ['name', 'file'], ['realsize', '20000']),
        member({ name: 'x' }, Buffer.concat([map1, Buffer.from('abcde')])),
      ]),
    ],
  ])('holes in the format of %s', async (_, bytes) => {
    expect(await readArchive(archive(bytes, member({ name: 'next' })))).toMatchObject([
      { name: Buffer.from('file'), ...map },
      { name: Buffer.from('next') },
    ]);
  });

  test('a map of many blocks', async () => {
    const pairs = [...Array(3000).keys()].map((index) => [index * 4096, 1] as const);
    const text = padded(`${pairs.length}\n${pairs.flat().join('\n')}\n`);
    const header = sparse(['major', '1'], ['minor', '0'], ['realsize', `${3000 * 4096}`]);
    const [read] = await readArchive(archive(header, member({}, Buffer.concat([text, Buffer.alloc(3000, 'x')]))));
    expect(read?.ranges).toEqual(pairs.map(([start, length]) => ({ start, length })));
    expect(read?.stored).toEqual(Buffer.alloc(3000, 'x'));
  });

  test('any number of zeros after its end, within reason', async () => {
    expect(await readArchive(Buffer.concat([archive(member({})), Buffer.alloc(9000)]))).toHaveLength(1);
  });
});

describe('what is refused', () => {
  const sparse1 = (...records: [string, string][]) =>
    pax(['GNU.sparse.major', '1'], ['GNU.sparse.minor', '0'], ...records);
  const text = 'text';
  test.each([
    ['nothing', Buffer.alloc(0), 'is empty'],
    ['something else', Buffer.alloc(600, 'x'), 'is not a tar archive'],
    ['a part of a block', Buffer.alloc(100), 'is not a tar archive'],
    ['a wrong checksum', archive(block({ checksumError: 1 })), 'is not a tar archive'],
    [
      'a wrong checksum later',
      archive(member({}), block({ checksumError: 1 })),
      'malformed at or after its member "file": a header with a wrong checksum',
    ],
    [
      'an end in a header',
      Buffer.concat([member({}), Buffer.alloc(100, 'x')]),
      'is truncated: it ends at or after its member "file"',
    ],
    ['an end in contents', block({ size: 600 }), 'is truncated'],
    ['an end in padding', Buffer.concat([block({ size: 4 }), Buffer.from(text)]), 'is truncated'],
    ['no end', member({}), 'is truncated'],
    ['half an end', Buffer.concat([member({}), END.subarray(512)]), 'is truncated'],
    ['a second archive', archive(member({}), END, member({})), 'goes on after its end'],
    ['garbage after the end', Buffer.concat([archive(member({})), Buffer.from('x')]), 'goes on after its end'],
    ['a member after half an end', archive(member({}), END.subarray(512), member({})), 'goes on after its end'],
    ['an absolute name', archive(member({ name: '/etc/passwd' })), 'its member "/etc/passwd" has an absolute name'],
    ['".." in a name', archive(member({ name: 'a/../../b' })), 'has ".." in its name'],
    ['a path that no program reaches', archive(pax(['path', 'a/'.repeat(2048)]), member({})), 'a name of 4096 bytes'],
    ['a NUL in a name', archive(pax(['path', 'a\0b']), member({})), 'has a NUL in its name'],
    ['no name', archive(member({ name: '' })), 'has no name'],
    [
      'a name that is too long',
      archive(pax(['path', 'x'.repeat(256)]), member({})),
      'has a name of more than 255 bytes',
    ],
    [
      'a file with the name of a directory',
      archive(member({ name: 'd/' }, text)),
      'has the name of a directory, but is none',
    ],
    [
      'a link with the name of a directory',
      archive(member({ name: 'd/.', type: '2', link: 'x' })),
      'has the name of a directory',
    ],
    ['an empty link', archive(member({ type: '2' })), 'is a symbolic link to what can be no path'],
    [
      'a long link',
      archive(pax(['linkpath', 'x'.repeat(4096)]), member({ type: '2' })),
      'is a symbolic link to what can be no path',
    ],
    ['an unknown type', archive(member({ type: 'M' })), 'is of a type that is not known: "M"'],
    [
      'a map of a directory',
      archive(sparse1(['GNU.sparse.realsize', '0']), member({ type: '5' }, padded('0\n'))),
      'a sparse map of what is not a file',
    ],
    [
      'two sizes of a sparse file',
      archive(pax(['GNU.sparse.map', '0,4'], ['GNU.sparse.size', '4'], ['GNU.sparse.realsize', '9']), member({}, text)),
      'two sizes of a sparse file',
    ],
    [
      'a map of GNU tar that goes on after its end',
      archive(
        member({ ...gnu, type: 'S', more: { 386: entry(0, 4), 482: Buffer.of(2), 483: Buffer.from('4') } }, text),
      ),
      'a sparse map that goes on after its end',
    ],
    [
      'more attributes than can be',
      archive(pax(...[...Array(8193).keys()].map((at) => [`SCHILY.xattr.user.${at}`, ''] as const)), member({})),
      'more than 8192 attributes',
    ],
    ['contents of a directory', archive(member({ type: '5' }, text)), 'contents of what is not a file'],
    ['contents of a hard link', archive(member({ type: '1', link: 'a' }, text)), 'contents of what is not a file'],
    ['a size of 2^53', archive(block({ size: base256(1n << 53n, 12) })), 'says that it has 2^53 bytes or more'],
    [
      'a size of 2^53 in a record',
      archive(pax(['size', `${1n << 53n}`]), member({})),
      'says that it has 2^53 bytes or more',
    ],
    ['a size of 10^29', archive(pax(['size', '1'.padEnd(30, '0')]), member({})), 'says that it has 2^53 bytes or more'],
    ['a size below 0', archive(block({ size: Buffer.alloc(12, 0xff) })), 'a size below 0'],
    ['a size that is no number', archive(block({ size: Buffer.from('12x') }), member({})), 'is not a tar archive'],
    [
      'an owner beyond 32 bits',
      archive(pax(['uid', '4294967296']), member({})),
      'an owner that is no number of 32 bits',
    ],
    ['a time beyond 2^53', archive(member({ mtime: base256(1n << 80n, 12) })), 'a time beyond 2^53 seconds'],
    ['a time of another form', archive(pax(['mtime', '1e9']), member({})), 'mtime that is no time'],
    ['a negative number', archive(pax(['size', '-4']), member({})), 'size that is no number'],
    [
      'records of more than 1 MiB',
      archive(block({ type: 'x', size: (1 << 20) + 1 })),
      'an extended header of more than 1048576 bytes',
    ],
    ['a record without a length', archive(member({ type: 'x' }, 'path=x\n'), member({})), 'without a length'],
    [
      'a record longer than its header',
      archive(member({ type: 'x' }, '99 path=x\n'), member({})),
      'not as long as it says',
    ],
    ['a record shorter than it is', archive(member({ type: 'x' }, '8 path=x\n'), member({})), 'not as long as it says'],
    ['a record of no length', archive(member({ type: 'x' }, '0 path=x\n'), member({})), 'not as long as it says'],
    ['a record without a key', archive(member({ type: 'x' }, '5 =x\n'), member({})), 'not as long as it says'],
    ['a record twice', archive(pax(['uid', '1'], ['uid', '2']), member({})), 'two records uid for one member'],
    [
      'two extended headers',
      archive(pax(['uid', '1']), pax(['gid', '2']), member({})),
      'two extended headers of one type',
    ],
    [
      'names in two extensions',
      archive(member({ type: 'L' }, 'a\0'), pax(['path', 'b']), member({})),
      'two long names for one member',
    ],
    [
      'an attribute twice',
      archive(pax(['SCHILY.xattr.user.a%25', ''], ['SCHILY.xattr.user.a%', '']), member({})),
      'an attribute that is there twice',
    ],
    ['records without a member', archive(pax(['uid', '1'])), 'the end comes after an extended header'],
    [
      'a record for all members',
      archive(member({ type: 'g' }, '9 uid=12\n'), member({})),
      'a record uid for all members',
    ],
    [
      'a record of star that gives it another type',
      archive(pax(['SCHILY.filetype', 'sparse']), member({})),
      'a record SCHILY.filetype',
    ],
    ['a sparse file of star', archive(member({ type: 'S' })), 'a sparse file in two formats, or in none'],
    [
      'a file of several volumes',
      archive(member({ ...gnu, type: 'S', more: { 369: Buffer.from('1') } })),
      'a file of several volumes',
    ],
    [
      'a map with overlaps',
      archive(
        pax(['GNU.sparse.size', '9'], ['GNU.sparse.numblocks', '2'], ['GNU.sparse.map', '0,4,2,0']),
        member({}, text),
      ),
      'a sparse map out of order',
    ],
    [
      'a map beyond its file',
      archive(
        pax(['GNU.sparse.size', '3'], ['GNU.sparse.numblocks', '1'], ['GNU.sparse.map', '0,4']),
        member({}, text),
      ),
      'goes beyond its file',
    ],
    [
      'a map of more than there is',
      archive(
        pax(['GNU.sparse.size', '9'], ['GNU.sparse.numblocks', '1'], ['GNU.sparse.map', '0,5']),
        member({}, text),
      ),
      'a sparse map of 5 bytes, of which 4 are there',
    ],
    [
      'a map of less than there is',
      archive(
        pax(['GNU.sparse.size', '9'], ['GNU.sparse.numblocks', '1'], ['GNU.sparse.map', '0,3']),
        member({}, text),
      ),
      'a sparse map of 3 bytes, of which 4 are there',
    ],
    [
      'half an entry',
      archive(pax(['GNU.sparse.size', '9'], ['GNU.sparse.numblocks', '1'], ['GNU.sparse.map', '0']), member({}, text)),
      'of another length than it says',
    ],
    [
      'a map of text',
      archive(pax(['GNU.sparse.size', '9'], ['GNU.sparse.map', '0,x']), member({}, text)),
      'something else than numbers',
    ],
    [
      'a map of another length',
      archive(
        pax(['GNU.sparse.size', '9'], ['GNU.sparse.numblocks', '2'], ['GNU.sparse.map', '0,4']),
        member({}, text),
      ),
      'of another length than it says',
    ],
    [
      'a map without a size',
      archive(pax(['GNU.sparse.numblocks', '1'], ['GNU.sparse.map', '0,4']), member({}, text)),
      'without its size',
    ],
    [
      'a map without a count',
      archive(pax(['GNU.sparse.size', '9'], ['GNU.sparse.map', '0,4']), member({}, text)),
      'a sparse file without its map',
    ],
    [
      'a sparse file without a map',
      archive(pax(['GNU.sparse.size', '9']), member({})),
      'a sparse file without its map',
    ],
    [
      'a sparse file with an empty map',
      archive(pax(['GNU.sparse.size', '9'], ['GNU.sparse.numblocks', '0']), member({})),
      'a sparse file without its map',
    ],
    ['another format', archive(member({ magic: 'ustar 00' })), 'is not a tar archive'],
    [
      'a prefix in v7',
      archive(member({}), member({ magic: '', prefix: 'a' })),
      'a prefix of a name in a format without it',
    ],
    [
      'a prefix in the format of GNU tar',
      archive(member({}), member({ ...gnu, prefix: 'a' })),
      'a prefix of a name in a format without it',
    ],
    [
      'a prefix of star without its end',
      archive(member({}), member({ prefix: 'p'.repeat(140), more: { 508: Buffer.from('tar\0') } })),
      'without its end',
    ],
    ['a prefix without a name', archive(member({}), member({ prefix: 'p', name: '' })), 'a prefix without a name'],
    [
      'a NUL before digits',
      archive(member({}), block({ size: Buffer.from('\x00000000017\0') })),
      'a size that is no number',
    ],
    ['a NUL within digits', archive(member({}), block({ size: Buffer.from('17\x0017') })), 'a size that is no number'],
    [
      'a number of another base',
      archive(member({}), block({ size: Buffer.from('b000000000000000000000004', 'hex') })),
      'a size that is no number',
    ],
    [
      'a size below 0, and another one in a record',
      archive(pax(['size', '0']), block({ size: Buffer.alloc(12, 0xff) })),
      'a size below 0',
    ],
    [
      'a device of no number',
      archive(member({}), member({ more: { 329: Buffer.from('tar') } })),
      'a device that is no number',
    ],
    [
      'a long name that goes on after its size',
      archive(member({ ...gnu, type: 'L', size: 3 }, 'abcd\0'), member(gnu)),
      'a long name without its end',
    ],
    [
      'a long name of a whole block without its end',
      archive(member({ ...gnu, type: 'K' }, 'x'.repeat(512)), member(gnu)),
      'a long name without its end',
    ],
    [
      'an empty file with the name of a directory',
      archive(member({ name: 'd/' })),
      'has the name of a directory, but is none',
    ],
    [
      'two names in v7, one of a directory',
      archive(pax(['path', 'file']), member({ type: '\0', name: 'd/' })),
      'has two names',
    ],
    [
      'two maps',
      archive(
        pax(
          ['GNU.sparse.size', '9'],
          ['GNU.sparse.map', '0,4'],
          ['GNU.sparse.offset', '0'],
          ['GNU.sparse.numbytes', '4'],
        ),
        member({}, text),
      ),
      'two sparse maps',
    ],
    [
      'a map that begins with a length',
      archive(pax(['GNU.sparse.numbytes', '4']), member({}, text)),
      'a sparse map out of order',
    ],
    [
      'an unknown map',
      archive(pax(['GNU.sparse.major', '2'], ['GNU.sparse.minor', '0']), member({})),
      'of a format that is not known',
    ],
    ['an unknown record of maps', archive(pax(['GNU.sparse.x', '2']), member({})), 'a record GNU.sparse.x'],
    [
      'a map that does not end',
      archive(sparse1(['GNU.sparse.realsize', '9']), member({}, padded('3\n0\n'))),
      'a sparse map that does not end',
    ],
    [
      'a map without lines',
      archive(sparse1(['GNU.sparse.realsize', '9']), member({}, Buffer.alloc(2048, '1'))),
      'a sparse map without lines',
    ],
    [
      'a map of too many runs',
      archive(sparse1(['GNU.sparse.realsize', '9']), member({}, padded('600000\n'))),
      'a sparse map of more than 524288 runs',
    ],
    [
      'a map of GNU tar that does not end',
      Buffer.concat([
        block({ ...gnu, type: 'S', more: { 386: Buffer.concat(Array(4).fill(entry(0, 0))), 482: Buffer.of(1) } }),
        Buffer.alloc(100),
      ]),
      'is truncated',
    ],
  ] as const)('%s', async (_, bytes, message) => {
    await expect(readArchive(bytes)).rejects.toMatchObject({
      code: 'unsupported-source',
      message: expect.stringContaining(message) as string,
    });
  });
});
