import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { Errno } from '../../../src/base/errno.ts';
import { ioError } from '../../../src/base/errors.ts';
import { Region } from '../../../src/base/linux/native.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import type { Entry, Inode, InodeMetadata, Manifest } from '../../../src/format/manifest.ts';
import type { PageFiles } from '../../../src/fs/direct-opens.ts';
import { ReadOnlyTree } from '../../../src/fs/read-only-tree.ts';
import type { Image } from '../../../src/image/read/image.ts';
import { ImageReader } from '../../../src/image/read/image-reader.ts';
import { ImageTree } from '../../../src/image/read/tree.ts';
import { LocalStore } from '../../../src/stores/local-store.ts';
import type { Store } from '../../../src/stores/store.ts';

const emptyStore = mkdtempSync(join(tmpdir(), 'ckptfs-tree-'));
afterAll(() => rmSync(emptyStore, { recursive: true }));

const many = 4000;
const objectId = Buffer.alloc(16, 0xab);

const metadata: InodeMetadata = {
  mode: 0o644,
  uid: 10,
  gid: 20,
  atime: { seconds: 3, nanoseconds: 4 },
  mtime: { seconds: -5, nanoseconds: 999_999_999 },
  ctime: { seconds: 6, nanoseconds: 7 },
  xattrs: [],
};

const inodes: Inode[] = [
  { ...metadata, type: 'directory', mode: 0o1755 }, // 1: /
  { ...metadata, type: 'directory' }, // 2: /d
  { ...metadata, type: 'directory' }, // 3: /d/e
  {
    ...metadata,
    type: 'file',
    size: 100_000,
    extents: [
      { fileOffset: 4096, object: 0, objectOffset: 0, length: 4096 },
      { fileOffset: 8192, object: 0, objectOffset: 40960, length: 100 },
    ],
    xattrs: [
      { name: Buffer.from('user.a'), value: Buffer.from('1') },
      { name: Buffer.from('user.b'), value: Buffer.alloc(0) },
    ],
  }, // 4: /d/file and /twin
  { ...metadata, type: 'symlink', target: Buffer.from([0xff, 0x2f, 0x61]) }, // 5: /link
  { ...metadata, type: 'directory' }, // 6: /many
  ...Array.from({ length: many }, (): Inode => ({ ...metadata, type: 'file', size: 5, extents: [] })),
];

const entries: Entry[] = [
  { parent: 1, inode: 2, name: Buffer.from('d') },
  { parent: 1, inode: 5, name: Buffer.from('link') },
  { parent: 1, inode: 6, name: Buffer.from('many') },
  { parent: 1, inode: 4, name: Buffer.from('twin') },
  { parent: 2, inode: 3, name: Buffer.from('e') },
  { parent: 2, inode: 4, name: Buffer.from('file') },
  ...Array.from({ length: many }, (_, i) => ({ parent: 6, inode: 7 + i, name: Buffer.from(fileName(i)) })),
];

function fileName(index: number): string {
  return `pages-${String(index).padStart(4, '0')}.img`;
}

const manifest: Manifest = {
  epoch: 1,
  objects: [{ id: objectId, chunks: 3, digests: Buffer.alloc(32) }],
  inodes,
  entries,
};

const damage: string[] = [];

function makeTree(
  held: Manifest = manifest,
  store: Store = new LocalStore(emptyStore),
  pageFiles?: PageFiles,
  hearsOpens?: boolean,
): ReadOnlyTree {
  const header = {
    imageId: Buffer.alloc(16),
    cipher: 'aes-256-xts',
    chunkSize: 16384,
    slots: [],
    mac: Buffer.alloc(32),
  } as const;
  const image: Image = {
    store,
    header,
    manifest: held,
    imageKey: Secret.random(32),
    manifestSize: 0,
    manifestDigest: new Uint8Array(32),
  };
  const [names, reader] = [new ImageTree(image.manifest), new ImageReader(image)];
  return new ReadOnlyTree(image, names, reader, (line) => damage.push(line), pageFiles, hearsOpens);
}

const tree = makeTree();
const name = (text: string): Buffer => Buffer.from(text);
const refuses = (errno: Parameters<typeof Errno.of>[0], act: () => unknown): void =>
  expect(act).toThrow(Errno.of(errno));

beforeEach(() => damage.splice(0));

describe('names', () => {
  test('lead to nodes whose numbers are inode numbers', () => {
    expect(tree.lookup(1, name('d')).node).toBe(2);
    expect(tree.lookup(2, name('file')).node).toBe(4);
    expect(tree.lookup(1, name('twin'))).toEqual(tree.lookup(2, name('file')));
    refuses('ENOENT', () => tree.lookup(1, name('file')));
    refuses('ENOTDIR', () => tree.lookup(4, name('x')));
    refuses('ENOENT', () => tree.lookup(99_999, name('x')));
  });

  test('are all found among thousands', () => {
    for (let i = 0; i < many; i++) expect(tree.lookup(6, name(fileName(i))).node).toBe(7 + i);
    refuses('ENOENT', () => tree.lookup(6, name('pages-0000.im')));
    refuses('ENOENT', () => tree.lookup(6, name('zzz')));
  });
});

describe('opens', () => {
  const large: Inode = { ...metadata, type: 'file', size: 4 << 20, extents: [] };
  const held = { ...manifest, inodes: [...inodes, large] };

  test('are left to the kernel in an image without a large file, and where no file is read past the page cache', () => {
    expect(makeTree(manifest, undefined, 'direct').opensDirect).toBeUndefined();
    expect(makeTree(held, undefined, 'cached').opensDirect).toBeUndefined();
    expect(makeTree(held).opensDirect).toBeUndefined();
  });

  test('are heard in any case where that is demanded', () => {
    const { opensDirect } = makeTree(held, undefined, 'cached', true);
    expect(opensDirect?.(held.inodes.length, process.pid)).toBe(false);
  });

  test('are direct for large files alone', () => {
    const { opensDirect } = makeTree(held, undefined, 'direct');
    expect(opensDirect?.(held.inodes.length, process.pid)).toBe(true);
    expect(opensDirect?.(4, process.pid)).toBe(false);
    expect(opensDirect?.(1, process.pid)).toBe(false);
    refuses('ENOENT', () => opensDirect?.(held.inodes.length + 1, process.pid));
  });
});

describe('attributes', () => {
  test('are those of the manifest', () => {
    expect(tree.getattr(4)).toEqual({
      node: 4,
      mode: 0o100644,
      size: 100_000,
      blocks: Math.ceil(4196 / 512),
      links: 2,
      uid: 10,
      gid: 20,
      atime: { seconds: 3, nanoseconds: 4 },
      mtime: { seconds: -5, nanoseconds: 999_999_999 },
      ctime: { seconds: 6, nanoseconds: 7 },
    });
    expect(tree.getattr(1)).toMatchObject({ mode: 0o041755, size: 4096, links: 4, blocks: 0 });
    expect(tree.getattr(5)).toMatchObject({ mode: 0o120644, size: 3, links: 1 });
    refuses('ENOENT', () => tree.getattr(0));
    refuses('ENOENT', () => tree.getattr(inodes.length + 1));
  });

  test('count a directory itself, its name and its subdirectories as links', () => {
    expect([1, 2, 3, 6].map((node) => tree.getattr(node).links)).toEqual([4, 3, 2, 2]);
  });

  test('include extended ones', () => {
    expect(tree.listxattr(4).map(String)).toEqual(['user.a', 'user.b']);
    expect(tree.listxattr(1)).toEqual([]);
    expect(String(tree.getxattr(4, name('user.a')))).toBe('1');
    expect(tree.getxattr(4, name('user.b'))).toHaveLength(0);
    refuses('ENODATA', () => tree.getxattr(4, name('user.c')));
    refuses('ENOENT', () => tree.getxattr(0, name('user.c')));
  });

  test('are not asked for when no node has any', () => {
    const plain = makeTree({ ...manifest, inodes: inodes.map((inode) => ({ ...inode, xattrs: [] })) });
    refuses('ENOSYS', () => plain.getxattr(4, name('user.a')));
    expect(plain.listxattr(4)).toEqual([]);
  });

  test('of a link are its target, byte by byte', () => {
    expect(Buffer.from(tree.readlink(5)).toString('hex')).toBe('ff2f61');
    refuses('EINVAL', () => tree.readlink(4));
  });
});

describe('listing', () => {
  const listed = (directory: number): string[] => {
    const names: string[] = [];
    for (let cookie = 0; ; ) {
      const entry = tree.entryAfter(directory, cookie);
      if (entry === undefined) return names;
      cookie = entry.cookie;
      names.push(`${String(entry.name)}=${entry.attributes.node}`);
    }
  };

  test('begins with the directory and its parent', () => {
    expect(listed(1)).toEqual(['.=1', '..=1', 'd=2', 'link=5', 'many=6', 'twin=4']);
    expect(listed(2)).toEqual(['.=2', '..=1', 'e=3', 'file=4']);
    expect(listed(3)).toEqual(['.=3', '..=2']);
  });

  test('can be continued anywhere', () => {
    expect(listed(6)).toHaveLength(many + 2);
    expect(String(tree.entryAfter(6, 2 + 1234)?.name)).toBe(fileName(1234));
    expect(tree.entryAfter(6, many + 2)).toBeUndefined();
    refuses('ENOTDIR', () => tree.entryAfter(4, 0));
  });
});

describe('data', () => {
  test('and holes are found by extents', () => {
    expect(tree.seek(4, 0, 'data')).toBe(4096);
    expect(tree.seek(4, 4097, 'data')).toBe(4097);
    expect(tree.seek(4, 0, 'hole')).toBe(0);
    expect(tree.seek(4, 4096, 'hole')).toBe(8292);
    refuses('ENXIO', () => tree.seek(4, 8292, 'data'));
    refuses('ENXIO', () => tree.seek(4, 100_000, 'hole'));
    refuses('EISDIR', () => tree.seek(1, 0, 'data'));
  });

  test('of a hole is zeros', () => {
    const out = new Region(16);
    out.bytes.fill(7);
    expect(tree.read(7, 1, 10, out, 2)).toBe(4);
    expect([...out.bytes]).toEqual([7, 7, 0, 0, 0, 0, ...Array(10).fill(7)]);
    expect(tree.read(7, 5, 10, out, 2)).toBe(0);
  });

  test('that is damaged gives EIO and one line that says where', () => {
    const out = new Region(8192);
    refuses('EIO', () => tree.read(4, 4096, 4096, out, 0));
    expect(damage).toEqual([`cannot read "twin": object ${objectId.toString('hex')} is missing`]);
  });

  test.each(['ESTALE', 'EACCES', 'ENOSPC'])('that the store cannot read gives EIO and one line: %s', (code) => {
    class FailingStore extends LocalStore {
      override openObject(): never {
        throw ioError('read', 'it', Object.assign(new Error(), { code }));
      }
    }
    const failing = makeTree(manifest, new FailingStore(emptyStore));
    refuses('EIO', () => failing.read(4, 4096, 4096, new Region(8192), 0));
    expect(damage).toEqual([expect.stringMatching(/^cannot read "twin": cannot read it: ./)]);
  });

  test('exists only in files', () => {
    const out = new Region(16);
    refuses('EISDIR', () => tree.read(1, 0, 16, out, 0));
    refuses('EINVAL', () => tree.read(5, 0, 16, out, 0));
    refuses('ENOENT', () => tree.read(0, 0, 16, out, 0));
  });
});

test('the file system is full, and as large as its data', () => {
  expect(tree.statfs()).toEqual({
    blockSize: 4096,
    blocks: 2,
    freeBlocks: 0,
    files: inodes.length,
    freeFiles: 0,
    nameMax: 255,
  });
});
