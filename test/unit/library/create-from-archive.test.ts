import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';
import { Secret } from '../../../src/crypto/secret.ts';
import { symmetricKeyProvider } from '../../../src/keys/symmetric-key.ts';
import { type CreateFromArchiveOptions, createFromArchive } from '../../../src/library/create-from-archive.ts';
import { EncryptedImage } from '../../../src/library/encrypted-image.ts';
import { slotsFor } from '../../../src/library/key-slots.ts';
import { archive, member, pax, readArchive, streamOf } from '../../support/archives.ts';

const base = mkdtempSync(join(tmpdir(), 'ckptfs-archive-'));
afterAll(() => rmSync(base, { recursive: true }));
const provider = symmetricKeyProvider(Secret.random(32));
let count = 0;

function encrypt(bytes: Uint8Array, options: Partial<CreateFromArchiveOptions> = {}) {
  const destination = join(base, `${++count}`);
  const source = { name: 'it', stream: streamOf(bytes) };
  const made = createFromArchive(source, { destination, makeSlots: slotsFor([provider]), ...options });
  return { destination, made };
}

/** Encrypts an archive. @returns the image, and what was reported of it */
async function imageOf(...parts: readonly Buffer[]) {
  const { destination, made } = encrypt(archive(...parts));
  const report = await made;
  return { image: await EncryptedImage.open(destination, { keys: [provider] }), report };
}

const directory = (name: string, mode = 0o755): Buffer => member({ name, type: '5', mode });
const link = (name: string, target: string, type = '1'): Buffer => member({ name, type, link: target });

describe('an image of an archive', () => {
  test('has its members as they are', async () => {
    const { image, report } = await imageOf(
      directory('./', 0o750),
      directory('d', 0o500),
      pax(['mtime', '12.5'], ['atime', '13'], ['uid', '70000'], ['SCHILY.xattr.user.x', 'y']),
      member({ name: 'd/file', mode: 0o4751 }, 'text'),
      link('d/again', './d//file'),
      link('link', '../../etc/passwd', '2'),
      member({ name: 'fifo', type: '6' }),
      pax(['GNU.sparse.size', '9000000'], ['GNU.sparse.numblocks', '1'], ['GNU.sparse.map', '5000000,4']),
      member({ name: 'd/below/sparse' }, 'data'),
    );
    try {
      expect(report).toMatchObject({ files: 2, bytes: 9_000_004, skipped: [], losses: [] });
      expect(image.stat('')).toMatchObject({ mode: 0o750, mtime: { seconds: 0 } });
      expect(image.stat('d')).toMatchObject({ type: 'directory', mode: 0o500, mtime: { seconds: 0 } });
      const times = { mtime: { seconds: 12, nanoseconds: 500_000_000 }, atime: { seconds: 13, nanoseconds: 0 } };
      expect(image.stat('d/file')).toMatchObject({ mode: 0o4751, uid: 70_000, size: 4, links: 2, ...times });
      expect(image.stat('d/again').inode).toBe(image.stat('d/file').inode);
      expect(image.stat('link')).toMatchObject({ type: 'symlink', target: Buffer.from('../../etc/passwd') });
      expect(image.stat('fifo').type).toBe('fifo');
      expect(image.stat('d/below').mode).toBe(0o700);
      const sparse = Buffer.alloc(9_000_000);
      sparse.write('data', 5_000_000);
      expect(image.readFile('d/below/sparse').equals(sparse)).toBe(true);
      expect(image.describe().dataBytes).toBeLessThan(100_000);
      const written: Buffer[] = [];
      await image.writeArchive(async (bytes) => void written.push(Buffer.from(bytes)));
      const file = (await readArchive(Buffer.concat(written))).find(({ name }) => name.toString() === 'd/again');
      expect(file?.xattrs).toEqual([{ name: Buffer.from('user.x'), value: Buffer.from('y') }]);
    } finally {
      image.close();
    }
  });

  test('has a directory that comes after what is in it', async () => {
    const { image } = await imageOf(member({ name: 'd/file' }), directory('d', 0o711), directory('.', 0o711));
    expect([image.stat('d').mode, image.stat('').mode]).toEqual([0o711, 0o711]);
    image.close();
  });

  test('names the attributes that it does not keep', async () => {
    const other = pax(['SCHILY.xattr.security.selinux', 'x']);
    const ofLink = pax(['SCHILY.xattr.user.x', 'x']);
    const { image, report } = await imageOf(other, member({ name: 'a' }), ofLink, link('b', 'a', '2'));
    image.close();
    const examples = ['a', 'b'].map((path) => ({ path, reason: 'EOPNOTSUPP' }));
    expect(report.losses).toEqual([{ kind: 'attributes', count: 2, examples }]);
  });

  test('leaves devices out where that is asked for', async () => {
    const { made } = encrypt(archive(member({ name: 'null', type: '3' })), { skipSpecial: true });
    expect(await made).toMatchObject({ files: 0, skipped: ['null'] });
  });
});

describe('an archive is refused, and nothing of an image stays,', () => {
  test.each([
    ['with a member twice', [member({ name: 'a' }), member({ name: './a' })], '"./a" is there more than once'],
    ['with a directory twice', [directory('d'), directory('d/')], '"d/" is there more than once'],
    ['with the root twice', [directory('.'), directory('./')], '"./" is there more than once'],
    ['with a file in the place of a directory', [member({ name: 'd/a' }), member({ name: 'd' })], '"d" is there more'],
    ['with a root that is no directory', [link('.', 'x', '2')], 'has the name of a directory, but is none'],
    ['with a member below a link', [link('l', '/etc', '2'), member({ name: 'l/passwd' })], 'is below a symlink'],
    ['with a member below a file', [member({ name: 'f' }), member({ name: 'f/a' })], 'is below a file'],
    [
      'with a member below a hard link',
      [member({ name: 'f' }), link('l', 'f'), member({ name: 'l/a' })],
      'below a file',
    ],
    [
      'with a link to what comes later',
      [link('l', 'a'), member({ name: 'a' })],
      'which is not before it in the archive',
    ],
    ['with a link to itself', [link('l', 'l')], 'which is not before it in the archive'],
    ['with a link out of it', [link('l', '/etc/shadow')], 'is a hard link to what has an absolute name'],
    ['with a link upwards', [link('l', '../shadow')], 'is a hard link to what has ".." in its name'],
    ['with a link through a link', [link('s', '/etc', '2'), link('l', 's/shadow')], 'not before it in the archive'],
    ['with a link to a directory', [directory('d'), link('l', 'd')], 'which is a directory'],
    ['with a device', [member({ name: 'null', type: '3' })], 'is a device, which an image cannot hold'],
    [
      'with too many attributes',
      [pax(...[...Array(300).keys()].map((at) => [`SCHILY.xattr.user.${at}`, 'x'.repeat(3000)] as const)), member({})],
      'cannot be in an image',
    ],
  ] as const)('%s', async (_, parts, message) => {
    const { destination, made } = encrypt(archive(...parts));
    await expect(made).rejects.toMatchObject({
      code: 'unsupported-source',
      message: expect.stringContaining(message) as string,
    });
    expect(existsSync(destination)).toBe(false);
  });

  test('when its source fails in the middle', async () => {
    async function* failing() {
      yield archive(member({}, 'x'.repeat(5000))).subarray(0, 2000);
      throw Object.assign(new Error('EIO'), { code: 'EIO', errno: -5 });
    }
    const destination = mkdtempSync(join(base, 'empty-'));
    const source = { name: 'it', stream: Readable.from(failing(), { objectMode: false }) };
    const made = createFromArchive(source, { destination, makeSlots: slotsFor([provider]) });
    await expect(made).rejects.toMatchObject({ code: 'io', data: { errno: 'EIO' } });
    expect(readdirSync(destination)).toEqual([]);
  });

  test.each(['as it is', 'compressed'])('when it is interrupted, %s', async (form) => {
    const start = archive(member({}, 'x'.repeat(500_000))).subarray(0, 300_000);
    const head = form === 'as it is' ? start : gzipSync(start).subarray(0, -100);
    // A pipe into which no process writes any more.
    const stream = new Readable({ read: () => undefined });
    stream.push(head);
    const controller = new AbortController();
    const destination = join(base, `${++count}`);
    const options = {
      destination,
      makeSlots: slotsFor([provider]),
      signal: controller.signal,
      onProgress: () => setImmediate(() => controller.abort()),
    };
    const made = createFromArchive({ name: 'it', stream }, options);
    await expect(made).rejects.toMatchObject({ code: 'interrupted' });
    expect(existsSync(destination)).toBe(false);
  });
});
