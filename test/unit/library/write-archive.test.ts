import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Region } from '../../../src/base/linux/native.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import { ROOT_INODE } from '../../../src/format/manifest.ts';
import { symmetricKeyProvider } from '../../../src/keys/symmetric-key.ts';
import { createFilled } from '../../../src/library/create-filled.ts';
import { EncryptedImage } from '../../../src/library/encrypted-image.ts';
import { slotsFor } from '../../../src/library/key-slots.ts';
import { ownRoot } from '../../../src/library/new-image.ts';
import type { WriteArchiveOptions } from '../../../src/library/write-archive.ts';
import { readArchive } from '../../support/archives.ts';

const base = mkdtempSync(join(tmpdir(), 'ckptfs-written-'));
const provider = symmetricKeyProvider(Secret.random(32));
let image: EncryptedImage;

beforeAll(async () => {
  const destination = join(base, 'enc');
  const pages = new Region(Buffer.alloc(3_000_000, 'memory'));
  await createFilled({ destination, makeSlots: slotsFor([provider]) }, ownRoot(), async (made) => {
    const name = (text: string): Buffer => Buffer.from(text);
    const directory = made.mkdir(ROOT_INODE, name('d'), { ...ownRoot(), mode: 0o1777 });
    const file = made.create(directory, name('pages'), ownRoot());
    made.write(file, 0, pages.length, pages, 0);
    made.link(file, ROOT_INODE, name('a'));
    const sparse = made.create(directory, name('sparse'), ownRoot());
    made.write(sparse, 0, 6, pages, 0);
    made.extend(sparse, 900_000);
    made.symlink(ROOT_INODE, name('s'), name('/elsewhere'), ownRoot());
    made.mknod(ROOT_INODE, name('socket'), 'socket', ownRoot());
    return { files: 2, bytes: 0, skipped: [], losses: [] };
  });
  image = await EncryptedImage.open(destination, { keys: [provider] });
});
afterAll(() => {
  image.close();
  rmSync(base, { recursive: true });
});

async function written(options: WriteArchiveOptions = {}) {
  const pieces: Buffer[] = [];
  const report = await image.writeArchive(async (bytes) => void pieces.push(Buffer.from(bytes)), options);
  return { bytes: Buffer.concat(pieces), report };
}

test('an archive has the files of the image, in byte order, directories first', async () => {
  const { bytes, report } = await written();
  const members = await readArchive(bytes);
  expect(members.map(({ name, type }) => `${type} ${name}`)).toEqual([
    'file a',
    'directory d/',
    'link d/pages',
    'file d/sparse',
    'symlink s',
  ]);
  expect(members[0]?.stored.equals(Buffer.alloc(3_000_000, 'memory'))).toBe(true);
  expect(members[1]).toMatchObject({ mode: 0o1777, mtime: image.stat('d').mtime });
  expect(members[2]?.target).toEqual(Buffer.from('a'));
  expect(members[3]).toMatchObject({ size: 900_000, ranges: [{ start: 0, length: 900_000 }] });
  expect(report.losses).toEqual([{ kind: 'entry', count: 1, examples: [{ path: 'socket', reason: 'EOPNOTSUPP' }] }]);
  expect((await written()).bytes.equals(bytes)).toBe(true);
});

test('an archive without holes is as large as the data', async () => {
  const { bytes } = await written({ sparse: true });
  expect(bytes.length).toBeLessThan(3_050_000);
  const sparse = (await readArchive(bytes)).find(({ name }) => name.toString() === 'd/sparse');
  expect(sparse).toMatchObject({ size: 900_000, ranges: [{ start: 0, length: 4096 }] });
  expect(sparse?.stored.subarray(0, 4).toString()).toBe('memo');
});

test('it ends when it is interrupted', async () => {
  const controller = new AbortController();
  const onProgress = () => controller.abort();
  await expect(written({ signal: controller.signal, onProgress })).rejects.toMatchObject({ code: 'interrupted' });
});
