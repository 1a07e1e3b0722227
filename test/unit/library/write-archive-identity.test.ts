import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { encodeMember, type NewMember } from '../../../src/archive/encode-member.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import { symmetricKeyProvider } from '../../../src/keys/symmetric-key.ts';
import { createFromArchive } from '../../../src/library/create-from-archive.ts';
import { EncryptedImage } from '../../../src/library/encrypted-image.ts';
import { slotsFor } from '../../../src/library/key-slots.ts';
import { archive, padded, type ReadMember, readArchive, streamOf } from '../../support/archives.ts';

const base = mkdtempSync(join(tmpdir(), 'ckptfs-identity-'));
afterAll(() => rmSync(base, { recursive: true }));
const provider = symmetricKeyProvider(Secret.random(32));
let count = 0;

type Metadata = Pick<NewMember, 'mode' | 'uid' | 'gid' | 'mtime' | 'xattrs'>;
type Node = { readonly metadata: Metadata } & (
  | { readonly type: 'file'; readonly contents: Buffer; readonly hole: number }
  | { readonly type: 'link'; readonly index: number }
  | { readonly type: 'symlink'; readonly target: Buffer }
  | { readonly type: 'fifo' }
  | { readonly type: 'directory'; readonly children: readonly (readonly [name: Buffer, node: Node])[] }
);

const bytes = (minLength: number, maxLength: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));
const name = fc
  .oneof({ weight: 4, arbitrary: bytes(1, 12) }, bytes(90, 255))
  .map((raw) => Buffer.from(raw.map((byte) => (byte === 0 || byte === 0x2f || byte === 0x2e ? 0x78 : byte))));
const id = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff_fffe }));
const mtime = fc.record({
  seconds: fc.integer({ min: -(2 ** 33), max: 2 ** 40 }),
  nanoseconds: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 999_999_999 })),
});
const xattrs = fc
  .uniqueArray(fc.tuple(bytes(1, 20), bytes(0, 200)), { maxLength: 2, selector: ([key]) => key.toString('latin1') })
  .map((list) =>
    list
      .map(([key, value]) => ({
        name: Buffer.concat([Buffer.from('user.'), key.map((byte) => byte || 1)]),
        value,
      }))
      .filter((each, at, all) => all.findIndex((other) => other.name.equals(each.name)) === at)
      .sort((a, b) => a.name.compare(b.name)),
  );
const mode = fc.integer({ min: 0, max: 0o7777 });
const metadata = fc.record({ mode, uid: id, gid: id, mtime, xattrs });
const bare = metadata.map((each) => ({ ...each, xattrs: [] }));
const ofLink = bare.map((each) => ({ ...each, mode: 0o777 }));

const { tree } = fc.letrec<{ node: Node; tree: Extract<Node, { type: 'directory' }> }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.record({
      type: fc.constant('file' as const),
      metadata,
      contents: bytes(0, 1500),
      hole: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 300_000 })),
    }),
    fc.record({ type: fc.constant('link' as const), metadata, index: fc.nat() }),
    fc.record({ type: fc.constant('symlink' as const), metadata: ofLink, target: bytes(1, 150).map(withoutNul) }),
    fc.record({ type: fc.constant('fifo' as const), metadata: bare }),
    tie('tree'),
  ),
  tree: fc.record({
    type: fc.constant('directory' as const),
    metadata,
    children: fc
      .uniqueArray(fc.tuple(name, tie('node')), { maxLength: 5, selector: ([each]) => each.toString('latin1') })
      .map((children) => [...children].sort(([a], [b]) => a.compare(b))),
  }),
}));

function withoutNul(raw: Buffer): Buffer {
  return Buffer.from(raw.map((byte) => byte || 1));
}

/** Writes a tree as `writeArchive` orders it: directories first, names in byte order, a link after its file. */
function archiveOf(root: Extract<Node, { type: 'directory' }>): Buffer {
  const parts: Buffer[] = [];
  const files: (Metadata & { readonly path: Buffer })[] = [];
  const add = (node: Node, path: Buffer): void => {
    const common = { ...node.metadata, path };
    if (node.type === 'directory') {
      if (path.length > 0) parts.push(encodeMember({ ...common, type: 'directory' }));
      const prefix = path.length === 0 ? path : Buffer.concat([path, Buffer.from('/')]);
      for (const [each, child] of node.children) add(child, Buffer.concat([prefix, each]));
    } else if (node.type === 'file') {
      const contents = Buffer.concat([node.contents, Buffer.alloc(node.hole), node.contents]);
      parts.push(encodeMember({ ...common, type: 'file', size: contents.length }), padded(contents));
      files.push(common);
    } else if (node.type === 'link') {
      const file = files[node.index % Math.max(1, files.length)];
      if (file === undefined) return;
      parts.push(encodeMember({ ...file, path, type: 'link', target: file.path, xattrs: [] }));
    } else if (node.type === 'symlink') parts.push(encodeMember({ ...common, type: 'symlink', target: node.target }));
    else parts.push(encodeMember({ ...common, type: 'fifo' }));
  };
  add(root, Buffer.alloc(0));
  return archive(...parts);
}

async function through(input: Buffer, sparse: boolean): Promise<Buffer> {
  const destination = join(base, `${++count}`);
  await createFromArchive(
    { name: 'it', stream: streamOf(input, 10_000) },
    { destination, makeSlots: slotsFor([provider]) },
  );
  const image = await EncryptedImage.open(destination, { keys: [provider] });
  const pieces: Buffer[] = [];
  try {
    await image.writeArchive(async (piece) => void pieces.push(Buffer.from(piece)), { sparse });
  } finally {
    image.close();
    rmSync(destination, { recursive: true });
  }
  return Buffer.concat(pieces);
}

/** Fills the holes of files. */
function filled(members: readonly ReadMember[]): unknown[] {
  return members.map(({ ranges, stored, size, ...rest }) => {
    const contents = Buffer.alloc(size);
    let from = 0;
    for (const { start, length } of ranges) {
      stored.copy(contents, start, from, from + length);
      from += length;
    }
    return { ...rest, name: rest.path.join('/'), contents: contents.toString('latin1') };
  });
}

test('an archive is the same, to the byte, after it went through an image', async () => {
  await fc.assert(
    fc.asyncProperty(tree, async (root) => {
      const input = archiveOf(root);
      expect((await through(input, false)).equals(input)).toBe(true);
    }),
    { numRuns: 25 },
  );
});

test('an archive has the same members, with or without holes, after it went through an image', async () => {
  await fc.assert(
    fc.asyncProperty(tree, async (root) => {
      const input = archiveOf(root);
      const withHoles = await through(input, true);
      const members = filled(await readArchive(input));
      expect(filled(await readArchive(withHoles))).toEqual(members);
      expect(filled(await readArchive(await through(withHoles, false)))).toEqual(members);
    }),
    { numRuns: 10 },
  );
});
