// Goal: whenever the process ends, and whatever others do in the directory meanwhile, the archive or a whole, verified
// image of it is there; another process then finishes what was begun, and removes nothing that was not encrypted.
// Method: the steps are done one by one and given up after each, by a process or by another one's doing in between.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { Directory } from '../../../src/base/linux/directory.ts';
import * as programs from '../../../src/base/program-url.ts';
import { Secret } from '../../../src/crypto/secret.ts';
import type { Signer } from '../../../src/crypto/signer.ts';
import { symmetricKeyProvider } from '../../../src/keys/symmetric-key.ts';
import { lastNameOf } from '../../../src/library/archive-names.ts';
import { EncryptedImage } from '../../../src/library/encrypted-image.ts';
import { finishTaking } from '../../../src/library/finish-taking.ts';
import { slotsFor } from '../../../src/library/key-slots.ts';
import { LeasedArchive } from '../../../src/library/leased-archive.ts';
import { prepareTaking, type TakeOptions } from '../../../src/library/prepare-taking.ts';
import { archivesIn, resumeTaking, TakingPlace, takeArchive } from '../../../src/library/take-archive.ts';
import { encodeTaking, type Taking } from '../../../src/library/taking.ts';
import { archive, member, pax } from '../../support/archives.ts';
import { type Bundled, bundled } from '../../support/bundled.ts';

vi.mock('../../../src/base/program-url.ts', { spy: true });

const provider = symmetricKeyProvider(Secret.random(32));
const options: TakeOptions = { makeSlots: slotsFor([provider]) };
const NAME = Buffer.from('checkpoint.tar');
const contents = archive(member({ name: 'pages.img' }, 'secret'));

let base: string;
let place: TakingPlace;
let watched: Directory;
const at = (name: string): string => join(base, 'archives', name);
const image = (name: string): string => join(base, 'images', name);

/** Verifies images in threads. */
let worker: Bundled;
beforeAll(async () => {
  worker = await bundled(join(import.meta.dirname, '../../../src/programs/image-worker.ts'));
});
afterAll(() => worker.remove());

beforeEach(() => {
  vi.mocked(programs.programUrl).mockReturnValue(pathToFileURL(worker.path));
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-take-')));
  fs.mkdirSync(at(''));
  fs.writeFileSync(at('checkpoint.tar'), contents);
  place = TakingPlace.open(image(''));
  watched = Directory.open(at(''));
});
afterEach(() => {
  place.close();
  watched.close();
  fs.rmSync(base, { recursive: true });
});

const take = (name: Buffer = NAME, more: Partial<TakeOptions> = {}) =>
  takeArchive(place, watched, name, { ...options, ...more });

/** Ends this process, so to speak, and starts another one. */
function restart(): ReturnType<typeof resumeTaking> {
  place.close();
  place = TakingPlace.open(image(''));
  return resumeTaking(place, watched);
}

async function checkImage(name: string): Promise<void> {
  const opened = await EncryptedImage.open(image(name), { keys: [provider] });
  expect((await opened.verify()).damage).toEqual([]);
  expect(opened.readFile('pages.img').toString()).toBe('secret');
  opened.close();
}

const lastName = ({ name, imageId }: Taking): string => lastNameOf(name, imageId).toString();
const archives = (): string[] => fs.readdirSync(at('')).sort();
const images = (): string[] => fs.readdirSync(image('')).sort();
const work = (): string[] => fs.readdirSync(image('.ckptfs-watch'));

/** Does all steps up to the record, and gives the lease up as the end of a process does. */
async function prepare(): Promise<Taking> {
  const leased = LeasedArchive.open(watched, NAME);
  if (leased === undefined) throw new Error('no lease');
  try {
    return (await prepareTaking(place, leased, options)).taking;
  } finally {
    leased.close();
  }
}

describe('an archive', () => {
  test('is taken: its image is there, and it is not', async () => {
    const taken = await take();
    expect(taken).toMatchObject({
      archive: at('checkpoint.tar'),
      image: image('checkpoint'),
      end: { kind: 'removed' },
      otherNames: 0,
      created: { files: 1, bytes: 6 },
    });
    expect([archives(), images(), work()]).toEqual([[], ['.ckptfs-watch', 'checkpoint'], []]);
    await checkImage('checkpoint');
    expect(restart()).toBeUndefined();
  });

  test('of a name that an image has gets an image with a number', async () => {
    await take();
    for (const suffix of ['.tar', '.tgz']) {
      fs.writeFileSync(at(`checkpoint${suffix}`), contents);
      await take(Buffer.from(`checkpoint${suffix}`));
    }
    expect(images()).toEqual(['.ckptfs-watch', 'checkpoint', 'checkpoint.2', 'checkpoint.3']);
  });

  test('that a process writes is left, and so is one that is not there', async () => {
    const fd = fs.openSync(at('checkpoint.tar'), 'a');
    expect(await take()).toBeUndefined();
    fs.closeSync(fd);
    expect(await take(Buffer.from('none.tar'))).toBeUndefined();
    expect([archives(), images()]).toEqual([['checkpoint.tar'], ['.ckptfs-watch']]);
  });

  test('that a process wants to write meanwhile is left as it is', async () => {
    const makeSlots: TakeOptions['makeSlots'] = (...wrapped) => {
      const { O_NONBLOCK, O_WRONLY } = fs.constants;
      expect(() => fs.openSync(at('checkpoint.tar'), O_WRONLY | O_NONBLOCK)).toThrow('EAGAIN');
      return options.makeSlots(...wrapped);
    };
    await expect(take(NAME, { makeSlots })).rejects.toMatchObject({ code: 'source-changed' });
    expect([fs.readFileSync(at('checkpoint.tar')).equals(contents), images(), work()]).toEqual([
      true,
      ['.ckptfs-watch'],
      [],
    ]);
  });

  test('that a process wants to write while the image is verified is left soon', async () => {
    const leased = LeasedArchive.open(watched, NAME);
    let wanted = false;
    const work = (signal: AbortSignal): Promise<never> => {
      const { O_NONBLOCK, O_WRONLY } = fs.constants;
      expect(() => fs.openSync(at('checkpoint.tar'), O_WRONLY | O_NONBLOCK)).toThrow('EAGAIN');
      wanted = true;
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
    };
    await expect(leased?.whileUndisturbed(undefined, work)).rejects.toMatchObject({ code: 'source-changed' });
    expect(wanted).toBe(true);
    leased?.close();
  });

  test.each([
    ['is cut short', () => contents.subarray(0, 1024), 'malformed-archive'],
    ['goes on after its end', () => Buffer.concat([contents, Buffer.from('more')]), 'malformed-archive'],
    [
      'has what an image cannot keep',
      () => archive(pax(['SCHILY.xattr.security.selinux', 'x']), member({ name: 'a' })),
      'unrepresentable',
    ],
  ])('that %s stays', async (_, bytes, reason) => {
    fs.writeFileSync(at('checkpoint.tar'), bytes());
    await expect(take()).rejects.toMatchObject({ code: 'unsupported-source', data: { reason } });
    expect([archives(), images(), work()]).toEqual([['checkpoint.tar'], ['.ckptfs-watch'], []]);
  });

  test('whose image does not verify stays', async () => {
    const signer: Signer = {
      source: 'what damages the image',
      publicJwk: { kty: 'EC', crv: 'P-256', x: '', y: '' },
      certificates: [],
      sign() {
        const objects = join(place.draftPath, 'objects');
        for (const file of fs.readdirSync(objects, { recursive: true, encoding: 'utf8' })) {
          const path = join(objects, file);
          if (fs.statSync(path).isFile()) fs.truncateSync(path, fs.statSync(path).size - 1);
        }
        return Buffer.alloc(64);
      },
    };
    await expect(take(NAME, { signers: [signer] })).rejects.toMatchObject({ code: 'damaged' });
    expect([archives(), images(), work()]).toEqual([['checkpoint.tar'], ['.ckptfs-watch'], []]);
  });

  test('is no link, FIFO or directory, and none of these is followed or opened', async () => {
    fs.renameSync(at('checkpoint.tar'), join(base, 'outside'));
    for (const make of [
      () => fs.symlinkSync(join(base, 'outside'), at('checkpoint.tar')),
      () => fs.mkdirSync(at('checkpoint.tar')),
      () => watched.mknod(NAME, 'fifo'),
      () => watched.mknod(NAME, 'socket'),
    ]) {
      make();
      await expect(take()).rejects.toMatchObject({ code: 'unsupported-source' });
      fs.rmSync(at('checkpoint.tar'), { recursive: true });
    }
    expect(fs.existsSync(join(base, 'outside'))).toBe(true);
  });

  test('with other names is said to have them', async () => {
    fs.linkSync(at('checkpoint.tar'), join(base, 'other'));
    expect(await take()).toMatchObject({ end: { kind: 'removed' }, otherNames: 1 });
  });

  test('is known by its name', () => {
    for (const name of ['a.tar.gz', 'b.tgz', 'c.tar.zst', 'd.tzst', '.hidden.tar', '.tar', 'e.tar.tmp', 'f', 'g.gz']) {
      fs.writeFileSync(at(name), '');
    }
    fs.writeFileSync(Buffer.concat([Buffer.from(at('/')), Buffer.from([0xff]), Buffer.from('.tar')]), '');
    expect(archivesIn(watched).map((name) => name.toString('latin1'))).toEqual([
      'a.tar.gz',
      'b.tgz',
      'c.tar.zst',
      'checkpoint.tar',
      'd.tzst',
      'ÿ.tar',
    ]);
  });
});

describe('a process that is killed', () => {
  test('while the image is made leaves the archive, and no image later', async () => {
    const partial: (() => void)[] = [
      () => fs.mkdirSync(place.draftPath),
      () => fs.mkdirSync(join(place.draftPath, 'objects/00'), { recursive: true }),
      () => fs.writeFileSync(join(place.draftPath, `objects/00/${'00'.repeat(16)}`), 'half'),
      () => fs.writeFileSync(join(place.draftPath, 'ckptfs.json.new'), '{'),
      () => fs.writeFileSync(join(place.draftPath, 'journal'), 'half'),
    ];
    for (const [count] of partial.entries()) {
      for (const make of partial.slice(0, count + 1)) make();
      expect(restart()).toBeUndefined();
      expect([archives(), images(), work()]).toEqual([['checkpoint.tar'], ['.ckptfs-watch'], []]);
    }
  });

  test('before the record, or while it is written, leaves the archive, and no image later', async () => {
    for (const torn of [undefined, '{"version":1,"name":"', '']) {
      await prepare();
      fs.rmSync(image('.ckptfs-watch/taking'));
      if (torn !== undefined) fs.writeFileSync(image('.ckptfs-watch/taking.new'), torn);
      expect(restart()).toBeUndefined();
      expect([archives(), images()]).toEqual([['checkpoint.tar'], ['.ckptfs-watch']]);
    }
    await take();
    await checkImage('checkpoint');
  });

  test('after any later step has taken the archive when another one went on', async () => {
    let wasLastStep = false;
    for (let count = 0; !wasLastStep; count++) {
      fs.writeFileSync(at('checkpoint.tar'), contents);
      const steps = finishTaking(place, watched, await prepare());
      for (let step = 0; step < count; step++) wasLastStep = steps.next().done === true;
      // One of both is there.
      const [left] = archives();
      if (left !== undefined) expect(fs.readFileSync(at(left)).equals(contents)).toBe(true);
      else await checkImage('checkpoint');
      const taken = restart();
      if (!wasLastStep) expect(taken?.end.kind).toBe(left === undefined ? 'gone' : 'removed');
      expect([archives(), images(), work()]).toEqual([[], ['.ckptfs-watch', 'checkpoint'], []]);
      await checkImage('checkpoint');
      fs.rmSync(image('checkpoint'), { recursive: true });
      expect(count).toBeLessThan(10);
    }
  });

  test('has its archive taken anew when the image is not there any more', async () => {
    const { image: name } = await prepare();
    fs.renameSync(place.draftPath, join(base, 'moved'));
    expect(restart()).toBeUndefined();
    // Another image of the name is not taken for it.
    const steps = finishTaking(place, watched, await prepare());
    steps.next();
    fs.rmSync(image(name.toString()), { recursive: true });
    fs.mkdirSync(image(name.toString()));
    expect(restart()).toBeUndefined();
    expect(archives()).toEqual(['checkpoint.tar']);
    expect((await take())?.image).toBe(image('checkpoint.2'));
  });

  test('leaves the archive when another directory is watched then, and says so', async () => {
    await prepare();
    fs.mkdirSync(join(base, 'others'));
    fs.linkSync(at('checkpoint.tar'), join(base, 'others/checkpoint.tar'));
    const others = Directory.open(join(base, 'others'));
    expect(resumeTaking(place, others)).toMatchObject({
      archive: at('checkpoint.tar'),
      end: { kind: 'kept', error: { code: 'io' } },
    });
    expect([archives(), others.names().map(String)]).toEqual([['checkpoint.tar'], ['checkpoint.tar']]);
    others.close();
  });

  test('has nothing removed for a record that is too large, or names no archive', async () => {
    const taking = await prepare();
    fs.renameSync(at('checkpoint.tar'), at('other'));
    for (const text of [encodeTaking({ ...taking, name: Buffer.from('other') }), ' '.repeat(65_537)]) {
      fs.writeFileSync(image('.ckptfs-watch/taking'), text);
      expect(restart()).toBeUndefined();
    }
    expect(archives()).toEqual(['other']);
  });

  test('gives an image another name when its own is taken by then', async () => {
    await prepare();
    fs.mkdirSync(image('checkpoint'));
    expect(restart()).toMatchObject({ image: image('checkpoint.2'), end: { kind: 'removed' } });
  });
});

describe('what is not what was encrypted', () => {
  const other = archive(member({ name: 'other' }, 'other'));
  /** What others do, and what must be left of it under the name of the archive. */
  const doings: readonly (readonly [string, () => void, Buffer])[] = [
    [
      'put in its place',
      () => {
        fs.writeFileSync(join(base, 'other'), other);
        fs.renameSync(join(base, 'other'), at('checkpoint.tar'));
      },
      other,
    ],
    [
      'written in its place, as long and with its times',
      () => {
        const { atime, mtime } = fs.statSync(at('checkpoint.tar'));
        const changed = Buffer.from(contents);
        changed[512] = 0;
        fs.writeFileSync(at('checkpoint.tar'), changed);
        fs.utimesSync(at('checkpoint.tar'), atime, mtime);
      },
      Buffer.concat([contents.subarray(0, 512), Buffer.alloc(1), contents.subarray(513)]),
    ],
    ['appended to', () => fs.appendFileSync(at('checkpoint.tar'), 'x'), Buffer.concat([contents, Buffer.from('x')])],
  ];

  test.each(doings)('is not removed: %s', async (_, happen, left) => {
    await prepare();
    happen();
    expect(restart()?.end.kind).toBe('changed');
    expect(archives()).toEqual(['checkpoint.tar']);
    expect(fs.readFileSync(at('checkpoint.tar')).equals(left)).toBe(true);
    await checkImage('checkpoint');
  });

  test('gets its name back when it got there at the last moment', async () => {
    const taking = await prepare();
    const steps = finishTaking(place, watched, taking);
    steps.next();
    fs.rmSync(at('checkpoint.tar'));
    fs.writeFileSync(at(lastName(taking)), other);
    expect(steps.next()).toMatchObject({ done: false });
    expect(steps.next()).toMatchObject({ done: true, value: { end: { kind: 'changed' } } });
    expect(fs.readFileSync(at('checkpoint.tar')).equals(other)).toBe(true);
  });

  test('stays under a name that is one of an archive when its own is taken', async () => {
    const taking = await prepare();
    fs.renameSync(at('checkpoint.tar'), at(lastName(taking)));
    fs.appendFileSync(at(lastName(taking)), 'x');
    fs.writeFileSync(at('checkpoint.tar'), other);
    expect(restart()?.end.kind).toBe('changed');
    expect(archivesIn(watched).map(String)).toEqual(['checkpoint.tar', lastName(taking)].sort());
  });

  test('is not removed while a process writes it', async () => {
    await prepare();
    const fd = fs.openSync(at('checkpoint.tar'), 'r+');
    expect(restart()?.end.kind).toBe('changed');
    fs.closeSync(fd);
    expect(archives()).toEqual(['checkpoint.tar']);
  });

  test('is not looked for when the archive was removed', async () => {
    await prepare();
    fs.rmSync(at('checkpoint.tar'));
    expect(restart()?.end.kind).toBe('gone');
  });
});

describe('the directory of the images', () => {
  test('has one process at a time', () => {
    expect(() => TakingPlace.open(image(''))).toThrow(
      expect.objectContaining({ code: 'locked', data: { holder: 'watch', wanted: 'writing' } }),
    );
  });

  test('is refused when others can write to it, or it is none', () => {
    fs.mkdirSync(join(base, 'open'));
    fs.chmodSync(join(base, 'open'), 0o770);
    fs.writeFileSync(join(base, 'file'), '');
    expect(() => TakingPlace.open(join(base, 'open'))).toThrow(expect.objectContaining({ code: 'exists' }));
    expect(() => TakingPlace.open(join(base, 'file'))).toThrow(expect.objectContaining({ code: 'io' }));
    expect(() => TakingPlace.open(join(base, 'none/new'))).toThrow(expect.objectContaining({ code: 'io' }));
  });
});
