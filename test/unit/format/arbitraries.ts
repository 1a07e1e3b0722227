import fc from 'fast-check';
import type { Time } from '../../../src/base/time.ts';
import { chunksPerGroup } from '../../../src/format/geometry.ts';
import type {
  DirectoryInode,
  Entry,
  FileInode,
  Inode,
  Manifest,
  MeetingInode,
  ObjectEntry,
  SymlinkInode,
} from '../../../src/format/manifest.ts';

/** Valid manifests of every shape, built from a seed so that a failure is repeatable and shrinks. */

export const CHUNK_SIZE = 16384;

export const name = fc
  .uint8Array({ minLength: 1, maxLength: 255 })
  .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x5f : byte))))
  .filter((bytes) => !['.', '..'].includes(bytes.toString('latin1')));

const time: fc.Arbitrary<Time> = fc.record({
  seconds: fc.maxSafeInteger(),
  nanoseconds: fc.nat(999_999_999),
});

export const metadata = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.nat(0xffff_ffff),
  gid: fc.nat(0xffff_ffff),
  atime: time,
  mtime: time,
  ctime: time,
  xattrs: fc
    .uniqueArray(fc.tuple(name, fc.uint8Array({ maxLength: 40 })), {
      maxLength: 3,
      selector: ([key]) => key.toString('latin1'),
    })
    .map((list) =>
      list
        .map(([key, value]) => ({
          name: Buffer.concat([Buffer.from('user.'), key.subarray(0, 250)]),
          value: Buffer.from(value),
        }))
        .sort((a, b) => a.name.compare(b.name))
        .filter((xattr, at, all) => at === 0 || !xattr.name.equals(all[at - 1]?.name ?? Buffer.alloc(0))),
    ),
});

export const directory: fc.Arbitrary<DirectoryInode> = metadata.map((m) => ({ type: 'directory' as const, ...m }));
export const symlink: fc.Arbitrary<SymlinkInode> = fc
  .tuple(metadata, name)
  .map(([m, target]) => ({ type: 'symlink' as const, ...m, target }));
export const meeting: fc.Arbitrary<MeetingInode> = fc
  .tuple(fc.constantFrom('fifo' as const, 'socket' as const), metadata)
  .map(([type, m]) => ({ type, ...m }));
/** Lengths of holes and of data in turn; extents get their objects later. */
const file = fc.tuple(
  metadata,
  fc.array(fc.tuple(fc.nat(9000), fc.integer({ min: 1, max: 70_000 })), { maxLength: 3 }),
  fc.nat(100),
);

export const manifests: fc.Arbitrary<Manifest> = fc
  .record({
    epoch: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    root: directory,
    children: fc.array(fc.tuple(fc.nat(), name, fc.oneof(directory, symlink, meeting, file)), { maxLength: 12 }),
    links: fc.array(fc.tuple(fc.nat(), fc.nat(), name), { maxLength: 3 }),
    ids: fc.uniqueArray(fc.uint8Array({ minLength: 16, maxLength: 16 }), {
      minLength: 12,
      maxLength: 12,
      selector: (id) => id.join(),
    }),
    digest: fc.nat(255),
  })
  .map(({ epoch, root, children, links, ids, digest }) => {
    const sortedIds = ids.map((id) => Buffer.from(id)).sort((a, b) => a.compare(b));
    const inodes: Inode[] = [root];
    const objects: ObjectEntry[] = [];
    const entries = new Map<string, Entry>();
    const directories = [1];
    const add = (parent: number, inode: number, label: Buffer): boolean => {
      const key = `${parent}/${label.toString('latin1')}`;
      if (entries.has(key)) return false;
      entries.set(key, { parent, inode, name: label });
      return true;
    };
    for (const [seed, label, child] of children) {
      const parent = directories[seed % directories.length] ?? 1;
      if (!add(parent, inodes.length + 1, label)) continue;
      if (!Array.isArray(child)) {
        inodes.push(child);
        if (child.type === 'directory') directories.push(inodes.length);
        continue;
      }
      inodes.push(fileOf(child, objects, sortedIds, digest));
    }
    const leaves = inodes.flatMap((inode, at) => (inode.type === 'directory' ? [] : [at + 1]));
    for (const [parentSeed, leafSeed, label] of links) {
      const leaf = leaves[leafSeed % Math.max(1, leaves.length)];
      if (leaf !== undefined) add(directories[parentSeed % directories.length] ?? 1, leaf, label);
    }
    const sorted = [...entries.values()].sort((a, b) => a.parent - b.parent || a.name.compare(b.name));
    return { epoch, objects, inodes, entries: sorted };
  });

function fileOf(
  [m, runs, tail]: readonly [Omit<DirectoryInode, 'type'>, [number, number][], number],
  objects: ObjectEntry[],
  ids: readonly Buffer[],
  digest: number,
): FileInode {
  let end = 0;
  let used = 0;
  const extents = runs.map(([hole, length], at) => {
    const fileOffset = end + hole + (at > 0 ? 1 : 0);
    end = fileOffset + length;
    used += length;
    return { fileOffset, object: objects.length, objectOffset: used - length, length };
  });
  if (extents.length > 0) {
    const chunks = Math.ceil(used / CHUNK_SIZE);
    const digests = Buffer.alloc(Math.ceil(chunks / chunksPerGroup(CHUNK_SIZE)) * 32, digest);
    objects.push({ id: ids[objects.length] ?? Buffer.alloc(16), chunks, digests });
  }
  return { type: 'file', ...m, size: end + tail, extents };
}
