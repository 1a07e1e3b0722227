// Goal: programs do by the library what users do by commands.
// Method: programs of their own import the built package by its name.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { PATIENCE } from './support/patience.ts';
import { systemTest } from './support/requirements.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Runs a program that uses the package by its name, as another project's would, and returns what it printed as JSON.
 */
function useOfPackage(program: string, directory: string): unknown {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-', directory], {
    cwd: root,
    input: program,
    encoding: 'utf8',
    timeout: PATIENCE,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout);
}

function inDirectory(body: (directory: string) => void): void {
  const directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-library-'));
  try {
    fs.mkdirSync(join(directory, 'src/sub'), { recursive: true });
    fs.writeFileSync(join(directory, 'src/pages-1.img'), Buffer.alloc(100_000, 'pages'));
    fs.symlinkSync('sub', join(directory, 'src/link'));
    body(directory);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

test('every module of the package can be loaded by Node, which the bundle of the command does not show', () => {
  const files = fs.readdirSync(join(root, 'dist'), { recursive: true, encoding: 'utf8' });
  const modules = files.filter((name) => name.endsWith('.js') && !/^(bundle|programs)\//.test(name));
  expect(modules.length).toBeGreaterThan(400);
  const program = `
    const failed = [];
    for (const name of ${JSON.stringify(modules)})
      await import('${root}dist/' + name).catch(({ message }) => failed.push(name + ': ' + message));
    console.log(JSON.stringify(failed));`;
  expect(useOfPackage(program, root)).toEqual([]);
});

const makeImage = `
  import * as ckptfs from 'ckptfs';
  import { join } from 'node:path';
  const directory = process.argv[2];
  const at = (name) => join(directory, name);
  ckptfs.createKeyFile(at('key'));
  const { key } = ckptfs.readKeyFile(at('key'));
  const provider = ckptfs.symmetricKeyProvider(key);
  const created = await ckptfs.createImage({
    source: at('src'), destination: at('enc'), makeSlots: async (imageKey, imageId) => [await provider.wrap(imageKey, imageId)],
  });
`;

test('an image is created, described, listed, read, verified and extracted', () => {
  inDirectory((directory) => {
    const result = useOfPackage(
      `${makeImage}
      const image = await ckptfs.EncryptedImage.open(at('enc'), { keys: [provider], imageId: created.imageId });
      const bytes = Buffer.alloc(10);
      const count = image.readAt('pages-1.img', 99_995, bytes);
      const answers = {
        files: created.files,
        outside: ckptfs.inspectImage(at('enc')).imageId === image.imageId,
        names: image.list().map(({ name, type }) => [name.toString(), type]),
        link: image.stat('link').target.toString(),
        size: image.stat('/pages-1.img').size,
        described: image.describe().fileBytes,
        read: [count, bytes.toString('latin1')],
        damage: (await image.verify()).damage,
        key: [String(key), JSON.stringify(key)],
      };
      await image.extract(at('out'));
      image.close();
      key.wipe();
      console.log(JSON.stringify(answers));`,
      directory,
    );
    expect(result).toEqual({
      files: 1,
      outside: true,
      names: [
        ['link', 'symlink'],
        ['pages-1.img', 'file'],
        ['sub', 'directory'],
      ],
      link: 'sub',
      size: 100_000,
      described: 100_000,
      read: [5, `pages${'\0'.repeat(5)}`],
      damage: [],
      key: ['[secret]', '"[secret]"'],
    });
    expect(fs.readFileSync(join(directory, 'out/pages-1.img'))).toEqual(
      fs.readFileSync(join(directory, 'src/pages-1.img')),
    );
  });
});

test('failures are CkptfsError with a stable code', () => {
  inDirectory((directory) => {
    const result = useOfPackage(
      `${makeImage}
      const codeOf = async (work) => {
        try { await work(); return 'none'; } catch (error) { return error instanceof ckptfs.CkptfsError ? error.code : 'other'; }
      };
      const open = (location, options) => codeOf(() => ckptfs.EncryptedImage.open(location, { keys: [provider], ...options }));
      const image = await ckptfs.EncryptedImage.open(at('enc'), { keys: [provider] });
      console.log(JSON.stringify([
        await open(at('src')),
        await open(at('enc'), { imageId: '00'.repeat(16) }),
        await open(at('enc'), { keys: [] }),
        await open(at('enc'), { keys: [ckptfs.symmetricKeyProvider(ckptfs.Secret.random(32))] }),
        await codeOf(() => image.readAt('gone', 0, Buffer.alloc(1))),
        await codeOf(() => image.readAt('sub', 0, Buffer.alloc(1))),
        await codeOf(() => image.readAt('pages-1.img', -1, Buffer.alloc(1))),
        await codeOf(() => image.readAt('pages-1.img', 2 ** 53, Buffer.alloc(1))),
      ]));`,
      directory,
    );
    const codes = [
      'not-an-image',
      'wrong-image',
      'no-key',
      'wrong-key',
      'no-such-file',
      'no-such-file',
      'bad-argument',
      'bad-argument',
    ];
    expect(result).toEqual(codes);
  });
});

test('an image is written from memory and from streams, without a mount', () => {
  inDirectory((directory) => {
    const result = useOfPackage(
      `${makeImage}
      import { existsSync } from 'node:fs';
      const makeSlots = ckptfs.slotsFor([provider]);
      const codeOf = async (work) => {
        try { await work(); return 'none'; } catch (error) { return error instanceof ckptfs.CkptfsError ? error.code : error.message; }
      };
      const writer = await ckptfs.ImageWriter.create({ destination: at('written'), makeSlots, chunkSize: 4096 });
      const big = Buffer.alloc(3_000_001, 'a page of memory ');
      async function* failing() { yield Buffer.alloc(9000); throw new Error('the source has failed'); }
      await writer.writeFile('a/b/big', big);
      await writer.writeFile('a/pieces', [Buffer.from('one '), new Uint8Array(0), Buffer.from('two')], { mode: 0o640 });
      await writer.writeFile(Buffer.from([0x66, 0xff]), 'text');
      writer.makeDirectory('a/empty', 0o755);
      const waiting = writer.writeFile('slow', (async function* () { yield big; })());
      const refusals = [
        await codeOf(() => writer.seal()),
        await codeOf(() => writer.writeFile('a/pieces', 'again')),
        await codeOf(() => writer.writeFile('a/pieces/below', 'x')),
        await codeOf(() => writer.writeFile('a/../x', 'x')),
        await codeOf(() => writer.writeFile('', 'x')),
        await codeOf(() => writer.makeDirectory('a/pieces')),
        await codeOf(() => writer.writeFile('failed', failing())),
        await codeOf(() => ckptfs.ImageWriter.create({ destination: at('written'), makeSlots })),
      ];
      await waiting;
      writer.seal();
      writer.discard();
      refusals.push(await codeOf(() => writer.writeFile('late', 'x')));

      const image = await ckptfs.EncryptedImage.open(at('written'), { keys: [provider], imageId: writer.imageId });
      const chunks = [];
      for await (const chunk of image.createReadStream('a/b/big', { offset: 5, length: 1_000_000 })) chunks.push(chunk);
      const ended = image.createReadStream('slow');
      const answers = {
        refusals,
        root: image.list().map(({ name }) => name.toString('latin1')),
        a: image.list('a').map(({ name, type, mode }) => [name.toString(), type, mode.toString(8)]),
        big: image.readFile('a/b/big').equals(big),
        pieces: image.readFile('a/pieces').toString(),
        streamed: Buffer.concat(chunks).equals(big.subarray(5, 1_000_005)),
        afterEnd: (await image.createReadStream('a/pieces', { offset: 100 }).toArray()).length,
        damage: (await image.verify()).damage,
      };
      image.close();
      answers.closed = await codeOf(() => ended.toArray());

      const thrown = await ckptfs.ImageWriter.create({ destination: at('thrown'), makeSlots });
      await thrown.writeFile('x', big);
      thrown.discard();
      answers.unslotted = await codeOf(() => ckptfs.ImageWriter.create({ destination: at('unslotted'), makeSlots: ckptfs.slotsFor([]) }));
      answers.left = ['thrown', 'unslotted'].filter((name) => existsSync(at(name)));
      console.log(JSON.stringify(answers));`,
      directory,
    );
    expect(result).toEqual({
      refusals: [
        'bad-argument',
        'exists',
        'exists',
        'bad-argument',
        'bad-argument',
        'exists',
        'the source has failed',
        'exists',
        'bad-argument',
      ],
      root: ['a', 'f\u00ff', 'slow'],
      a: [
        ['b', 'directory', '700'],
        ['empty', 'directory', '755'],
        ['pieces', 'file', '640'],
      ],
      big: true,
      pieces: 'one two',
      streamed: true,
      afterEnd: 0,
      damage: [],
      closed: 'bad-argument',
      unslotted: 'bad-argument',
      left: [],
    });
  });
});

test('what a process leaves that ends before it seals is an unsealed image', () => {
  inDirectory((directory) => {
    const left = `${makeImage}
      const writer = await ckptfs.ImageWriter.create({ destination: at('left'), makeSlots: ckptfs.slotsFor([provider]) });
      await writer.writeFile('whole', 'contents');
      console.log(JSON.stringify(writer.imageId));
      process.exit();`;
    const imageId = useOfPackage(left, directory);
    const sealed = useOfPackage(
      `import * as ckptfs from 'ckptfs';
      const [at, key] = [(name) => process.argv[2] + '/' + name, ckptfs.readKeyFile(process.argv[2] + '/key').key];
      const options = { keys: [ckptfs.symmetricKeyProvider(key)], onWarning: (line) => lines.push(line) };
      const lines = [];
      const { imageId } = await ckptfs.sealImage(at('left'), options);
      const image = await ckptfs.EncryptedImage.open(at('left'), options);
      console.log(JSON.stringify([imageId, image.readFile('whole').toString(), lines]));`,
      directory,
    );
    expect(sealed).toEqual([imageId, 'contents', []]);
  });
});

systemTest(['root', 'fuse'], 'mount and unmount', () => {
  inDirectory((directory) => {
    fs.mkdirSync(join(directory, 'mnt'));
    const result = useOfPackage(
      `${makeImage}
      import { readFileSync } from 'node:fs';
      const imageKey = await ckptfs.unlockImage(at('enc'), { keys: [provider] });
      const mounted = await ckptfs.mountImage({ location: at('enc'), mountPoint: at('mnt'), imageKey });
      imageKey.wipe();
      const size = readFileSync(at('mnt/pages-1.img')).length;
      const listed = (await ckptfs.listMounts()).find(({ mountPoint }) => mountPoint === mounted.mountPoint);
      console.log(JSON.stringify([size, listed.state, await mounted.unmount()]));`,
      directory,
    );
    const unmounted = { mountPoint: join(directory, 'mnt'), wiped: true, write: false, ephemeral: false };
    expect(result).toEqual([100_000, 'serving', unmounted]);
  });
});
