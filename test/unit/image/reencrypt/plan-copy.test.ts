import { hkdfSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { deriveObjectId } from '../../../../src/crypto/image-keys.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { primitives } from '../../../../src/crypto/select.ts';
import type { Manifest } from '../../../../src/format/manifest.ts';
import type { Image } from '../../../../src/image/read/image.ts';
import { hasObjectsOf, planCopy, rangesOf } from '../../../../src/image/reencrypt/plan-copy.ts';

const time = { seconds: 1, nanoseconds: 2 };
const metadata = { mode: 0o600, uid: 0, gid: 0, atime: time, mtime: time, ctime: time, xattrs: [] };
const imageId = Buffer.alloc(16, 1);

/** An image of one file whose extents are in pieces, with a second name. */
const manifest: Manifest = {
  epoch: 3,
  objects: [],
  inodes: [
    { type: 'directory', ...metadata },
    {
      type: 'file',
      ...metadata,
      size: 200_000,
      extents: [
        { fileOffset: 0, object: 1, objectOffset: 8192, length: 4096 },
        { fileOffset: 4096, object: 0, objectOffset: 0, length: 100 },
        { fileOffset: 65_536, object: 1, objectOffset: 0, length: 8192 },
      ],
    },
  ],
  entries: ['a', 'b'].map((name) => ({ parent: 1, inode: 2, name: Buffer.from(name) })),
};

function planUnder(key: Secret, manifestDigest: Buffer) {
  return planCopy({ manifest, manifestDigest } as unknown as Image, key, { imageId, chunkSize: 4096 });
}

test('extents that continue each other become one, whatever objects they were in', () => {
  expect(rangesOf([])).toEqual([]);
  const { inodes, entries, totalBytes } = planUnder(Secret.random(32), Buffer.alloc(32));
  expect(inodes).toEqual([
    manifest.inodes[0],
    {
      ...manifest.inodes[1],
      extents: [
        { fileOffset: 0, object: 0, objectOffset: 0, length: 4196 },
        { fileOffset: 65_536, object: 0, objectOffset: 4196, length: 8192 },
      ],
    },
  ]);
  expect(entries).toEqual(manifest.entries);
  expect(totalBytes).toBe(12_388);
});

test('the ids of objects follow from the new key and the old manifest, and from nothing else', () => {
  const key = Secret.copy(Buffer.alloc(32, 7));
  const digest = Buffer.alloc(32, 9);
  const idOf = (plan: ReturnType<typeof planUnder>): string => plan.objects[0]?.id.toString('hex') ?? '';
  const id = idOf(planUnder(key, digest));
  expect(idOf(planUnder(key, digest))).toBe(id);
  expect(idOf(planUnder(Secret.copy(Buffer.alloc(32, 8)), digest))).not.toBe(id);
  expect(idOf(planUnder(key, Buffer.alloc(32, 10)))).not.toBe(id);
  const salt = Buffer.concat([imageId, digest, Buffer.alloc(8)]);
  expect(id).toBe(Buffer.from(hkdfSync('sha256', key.bytes, salt, 'ckptfs 1 reencrypted object', 16)).toString('hex'));
  const second = deriveObjectId(primitives(), key, imageId, digest, 1);
  salt.writeUInt8(1, salt.length - 8);
  expect(second).toEqual(Buffer.from(hkdfSync('sha256', key.bytes, salt, 'ckptfs 1 reencrypted object', 16)));
});

test('a manifest of as many objects, but of others, is told from that of a plan', () => {
  const plan = planUnder(Secret.random(32), Buffer.alloc(32));
  const objects = plan.objects.map(({ id, chunks }) => ({ id, chunks, digests: Buffer.alloc(32) }));
  const [first] = objects;
  if (first === undefined) throw new Error('no object');
  expect(hasObjectsOf(plan, { ...manifest, objects })).toBe(true);
  expect(hasObjectsOf(plan, { ...manifest, objects: [] })).toBe(false);
  expect(hasObjectsOf(plan, { ...manifest, objects: [{ ...first, id: Buffer.alloc(16) }] })).toBe(false);
  // It would need other digests.
  expect(hasObjectsOf(plan, { ...manifest, objects: [{ ...first, chunks: 200 }] })).toBe(false);
});
