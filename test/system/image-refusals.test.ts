// Goal: what cannot be encrypted whole is refused, and no interruption leaves a damaged image.
// Method: the built library and command meet such sources and destinations, and are killed at random moments.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeTree } from '../../scripts/images/source-tree.ts';
import { without } from '../support/frozen-images.ts';
import { endOf, kill } from './support/children.ts';
import { runCkptfs } from './support/ckptfs.ts';
import { create, open, writeKeyFile } from './support/images.ts';
import { built, ckptfsProgram } from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { describeIf } from './support/requirements.ts';

const { extractImage } = await built<typeof import('../../src/image/extract/extract.ts')>('image/extract/extract.js');
const { verifyImage } = await built<typeof import('../../src/image/verify/verify.ts')>('image/verify/verify.js');

const MiB = 1 << 20;

let base: string;
let count = 0;
beforeAll(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-refusals-'));
});
afterAll(() => fs.rmSync(base, { recursive: true }));

function fresh(what: string): string {
  return join(base, `${what}-${count++}`);
}

function makeSource(files: Readonly<Record<string, number>> = { 'pages-1.img': 300_000 }): string {
  const source = fresh('source');
  fs.mkdirSync(source);
  for (const [name, size] of Object.entries(files)) fs.writeFileSync(join(source, name), Buffer.alloc(size, name));
  return source;
}

describeIf(['root'], 'what an image cannot hold', () => {
  const kinds: readonly (readonly [string, (path: string) => void])[] = [
    ['character device', (path) => runProgram('mknod', path, 'c', '1', '3')],
    ['block device', (path) => runProgram('mknod', path, 'b', '7', '0')],
  ];

  test.each(kinds)('a %s is refused by name', async (name, make) => {
    const [source, image] = [makeSource(), fresh('image')];
    make(join(source, name));
    await expect(create(source, image)).rejects.toMatchObject({
      code: 'unsupported-source',
      message: expect.stringContaining(join(source, name)),
      data: { reason: 'device' },
    });
    expect(fs.existsSync(image)).toBe(false);
  });

  test('skipSpecial leaves them out and reports them', async () => {
    const [source, image] = [makeSource(), fresh('image')];
    for (const [name, make] of kinds) make(join(source, name));
    const created = await create(source, image, { skipSpecial: true });
    expect([...created.skipped].sort()).toEqual(['block device', 'character device'].map((name) => join(source, name)));
    expect((await open(image)).manifest.entries.map(({ name }) => name.toString())).toEqual(['pages-1.img']);
  });
});

/** Another file of the same size and time. */
function replace(path: string): void {
  const { atimeMs, mtimeMs, size } = fs.statSync(path);
  const other = fresh('other');
  fs.writeFileSync(other, Buffer.alloc(size, 'other'));
  fs.utimesSync(other, atimeMs / 1000, mtimeMs / 1000);
  fs.renameSync(other, path);
}

function rewrite(path: string): void {
  const reference = fresh('reference');
  runProgram('touch', '--reference', path, reference);
  const fd = fs.openSync(path, 'r+');
  fs.writeSync(fd, 'other');
  fs.closeSync(fd);
  runProgram('touch', '--reference', reference, path);
}

describe('source and destination', () => {
  test('a destination that is not empty is refused and untouched', async () => {
    const [source, image] = [makeSource(), fresh('image')];
    fs.mkdirSync(image);
    fs.writeFileSync(join(image, 'mine'), 'x');
    await expect(create(source, image)).rejects.toMatchObject({ code: 'exists' });
    expect(fs.readdirSync(image)).toEqual(['mine']);
    await create(source, fresh('image'));
    const target = fresh('target');
    fs.mkdirSync(target);
    fs.writeFileSync(join(target, 'mine'), 'x');
    const good = fresh('image');
    await create(source, good);
    await expect(extractImage(await open(good), target)).rejects.toMatchObject({ code: 'exists' });
    expect(fs.readdirSync(target)).toEqual(['mine']);
  });

  test('an empty directory is accepted; an image that exists is never overwritten', async () => {
    const [source, image] = [makeSource(), fresh('image')];
    fs.mkdirSync(image);
    await create(source, image);
    const before = without(describeTree(image), 'atime');
    await expect(create(source, image)).rejects.toMatchObject({ code: 'exists' });
    expect(without(describeTree(image), 'atime')).toEqual(before);
  });

  test('a source that is missing, or is not a directory, is refused', async () => {
    await expect(create(fresh('none'), fresh('image'))).rejects.toMatchObject({ code: 'io' });
    const file = join(makeSource(), 'pages-1.img');
    await expect(create(file, fresh('image'))).rejects.toMatchObject({ code: 'io' });
  });

  const changes: readonly (readonly [string, (path: string) => void])[] = [
    ['grew', (path) => fs.appendFileSync(path, 'x')],
    ['was cut', (path) => fs.truncateSync(path, 4096)],
    ['was touched', (path) => fs.utimesSync(path, 1, 1)],
    ['was replaced', replace],
    ['was written to and its time set back', rewrite],
    ['was removed', (path) => fs.rmSync(path)],
    ['got a neighbour', (path) => fs.writeFileSync(`${path}.new`, '')],
  ];

  test.each(changes)(
    'a file that %s while it is read: source-changed, and the image is unfinished',
    async (_, change) => {
      const source = makeSource({ 'pages-1.img': 4 * MiB, 'pages-2.img': 4 * MiB });
      const image = fresh('image');
      let changed = false;
      const onProgress = () => {
        if (!changed) change(join(source, 'pages-2.img'));
        changed = true;
      };
      await expect(create(source, image, { jobs: 1, onProgress })).rejects.toMatchObject({ code: 'source-changed' });
      await expect(open(image)).rejects.toMatchObject({ code: 'unfinished' });
    },
  );

  test('a signal leaves the image unfinished and the source untouched', async () => {
    const [source, image] = [makeSource({ 'pages-1.img': 20 * MiB }), fresh('image')];
    const before = without(describeTree(source), 'atime');
    const controller = new AbortController();
    const options = { jobs: 2, signal: controller.signal, onProgress: () => controller.abort() };
    await expect(create(source, image, options)).rejects.toMatchObject({ code: 'interrupted' });
    await expect(open(image)).rejects.toMatchObject({ code: 'unfinished' });
    expect(without(describeTree(source), 'atime')).toEqual(before);
  });
});

describe('ckptfs encrypt killed', () => {
  let shared: string;
  let source: string;
  let keyFile: string;
  beforeAll(() => {
    shared = fs.mkdtempSync('/dev/shm/ckptfs-killed-');
    [source, keyFile] = [join(shared, 'source'), join(shared, 'key')];
    fs.mkdirSync(source);
    for (let at = 0; at < 4; at++) fs.writeFileSync(join(source, `pages-${at}.img`), Buffer.alloc(100 * MiB, at + 1));
    writeKeyFile(keyFile);
  });
  afterAll(() => fs.rmSync(shared, { recursive: true }));

  /** Starts encrypting and kills it once `when` holds, after `delay` milliseconds more. */
  async function encryptAndKill(image: string, when: () => boolean, delay: number): Promise<void> {
    const args = ['encrypt', source, image, '--key-file', keyFile, '--quiet'];
    const child = spawn(ckptfsProgram, args, { stdio: 'ignore' });
    const deadline = Date.now() + PATIENCE;
    while (!when() && child.exitCode === null && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await new Promise((resolve) => setTimeout(resolve, delay));
    await kill(child, 'SIGKILL');
    expect(Date.now(), 'it gets so far, or ends').toBeLessThan(deadline);
  }

  test('in the middle: every command refuses what is left by that name', async () => {
    const image = join(shared, 'middle');
    const before = fs.readdirSync(source);
    await encryptAndKill(
      image,
      () => fs.existsSync(join(image, 'objects')) && fs.readdirSync(join(image, 'objects')).length > 0,
      20,
    );
    expect(fs.existsSync(join(image, 'manifest'))).toBe(false);
    const commands = [
      ['verify', image],
      ['ls', image],
      ['cat', image, 'pages-0.img'],
      ['decrypt', image, join(shared, 'target')],
      ['mount', image, source],
    ];
    for (const command of commands) {
      const { status, stderr } = runCkptfs(...command, '--key-file', keyFile);
      expect([command[0], status !== 0, stderr]).toEqual([command[0], true, expect.stringContaining('unfinished')]);
    }
    expect(runCkptfs('info', image).stderr).toContain('unfinished');
    expect(fs.existsSync(join(shared, 'target'))).toBe(false);
    expect(fs.readdirSync(source)).toEqual(before);
  });

  test('at any time leaves nothing, an unfinished image or a whole one, and never a damaged one', async () => {
    const outcomes: string[] = [];
    for (const delay of [0, 5, 30, 80, 150, 250, 400]) {
      const image = join(shared, `at-${delay}`);
      await encryptAndKill(image, () => fs.existsSync(image), delay);
      const outcome = await open(image).then(
        async (opened) => ((await verifyImage(opened)).damage.length === 0 ? 'whole' : 'damaged'),
        (error: { code: string }) => error.code,
      );
      outcomes.push(outcome);
      fs.rmSync(image, { recursive: true, force: true });
    }
    expect(outcomes.filter((outcome) => !['unfinished', 'whole', 'not-an-image'].includes(outcome))).toEqual([]);
    expect(outcomes).toContain('unfinished');
  });
});

describe('memory', () => {
  let shared: string;
  beforeAll(() => {
    shared = fs.mkdtempSync('/dev/shm/ckptfs-memory-');
    writeKeyFile(join(shared, 'key'));
  });
  afterAll(() => fs.rmSync(shared, { recursive: true }));

  /** Returns the most memory that `ckptfs` with these arguments ever had, in bytes (VmHWM), as it says at its end. */
  async function peakOf(...args: readonly string[]): Promise<number> {
    const status = join(shared, 'status');
    const hook = join(shared, 'hook.cjs');
    fs.writeFileSync(
      hook,
      `const { readFileSync, writeFileSync } = require('node:fs');
       if (require('node:worker_threads').isMainThread)
         process.on('exit', () => writeFileSync('${status}', readFileSync('/proc/self/status')));`,
    );
    const child = spawn(ckptfsProgram, [...args, '--key-file', join(shared, 'key'), '--quiet'], {
      stdio: 'ignore',
      env: { ...process.env, NODE_OPTIONS: `--require=${hook}` },
    });
    expect(await endOf(child)).toEqual([0, null]);
    const [, kibibytes] = /VmHWM:\s+(\d+)/.exec(fs.readFileSync(status, 'latin1')) ?? [];
    fs.rmSync(status);
    return Number(kibibytes) * 1024;
  }

  test('encrypting, decrypting and verifying 512 MiB takes hardly more of it than 16 MiB', async () => {
    const peaks: Record<string, number[]> = { encrypt: [], verify: [], decrypt: [] };
    for (const size of [16, 512]) {
      const [source, image, target] = ['source', 'image', 'target'].map((name) => join(shared, `${name}-${size}`)) as [
        string,
        string,
        string,
      ];
      fs.mkdirSync(source);
      const fd = fs.openSync(join(source, 'pages-1.img'), 'w');
      for (let at = 0; at < size; at++) fs.writeSync(fd, Buffer.alloc(MiB, at));
      fs.closeSync(fd);
      peaks['encrypt']?.push(await peakOf('encrypt', source, image));
      peaks['verify']?.push(await peakOf('verify', image));
      peaks['decrypt']?.push(await peakOf('decrypt', image, target));
      expect(fs.readFileSync(join(target, 'pages-1.img')).equals(fs.readFileSync(join(source, 'pages-1.img')))).toBe(
        true,
      );
      for (const path of [source, image, target]) fs.rmSync(path, { recursive: true });
    }
    for (const [command, [small = 0, large = 0]] of Object.entries(peaks)) {
      expect([command, large - small < 48 * MiB, large < 300 * MiB, small > 0]).toEqual([command, true, true, true]);
    }
  });
});
