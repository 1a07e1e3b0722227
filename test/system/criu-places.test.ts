// Goal: options of criu may point into a mount as the table in docs/cli.md says, as far as no other test has it.
// Method: real dumps and restores by criu with each of them.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { type Checkpoint, restoreProcess, sayWhenDumped } from './support/checkpoints.ts';
import { endOf, firstOutput } from './support/children.ts';
import { ckptfs } from './support/ckptfs.ts';
import { buildFixture, readState, waitForState, whileAtRest } from './support/fixtures.ts';
import { clear, type Encrypted, mountNew, mountOn } from './support/mounts.ts';
import { openNamespace } from './support/namespace.ts';
import { PATIENCE } from './support/patience.ts';
import { describeIf, systemTest, toolEnvironment } from './support/requirements.ts';

const streamerProgram = fileURLToPath(new URL('../fixtures/streamer.py', import.meta.url));
const readOnly = 'Read-only file system';

describeIf(['root', 'fuse', 'criu', 'crit', 'namespaces', 'gcc', 'python'], 'on a mount criu', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-places-')));
  const mountPoint = join(base, 'mnt');
  const work = join(base, 'work');
  const inMount = (...names: string[]): string => join(mountPoint, ...names);
  let encrypted: Encrypted;
  let checkpoint: Checkpoint;

  /** Listens as the image streamer, until its one client is gone. @returns waits for its end */
  async function stream(mode: 'capture' | 'serve', directory: string): Promise<() => Promise<void>> {
    fs.mkdirSync(directory, { recursive: true });
    const child = spawn('/usr/bin/python3', [streamerProgram, mode, directory, inMount('stream')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await firstOutput(child);
    return async () => {
      expect(await endOf(child)).toEqual([0, null]);
    };
  }

  // Four dumps of one process: a first, its child by a path from the mount's root, one as a stream, a child by a
  // relative path.
  beforeAll(async () => {
    fs.mkdirSync(work);
    [encrypted] = mountNew(base, mountPoint);
    const stateFile = join(base, 'state');
    const command = buildFixture('counter', { directory: base, stateFile, mebibytes: 4 });
    const namespace = await openNamespace();
    try {
      const pid = namespace.launch(...command);
      await waitForState(stateFile, (state) => state.passes >= 1);
      await whileAtRest(stateFile, async () => {
        const dump = (directory: string, ...options: readonly string[]): void => {
          fs.mkdirSync(inMount(directory), { recursive: true });
          const where = ['-D', inMount(directory), '-W', work, '-o', `${directory}.log`];
          const { status, stderr } = namespace.run('criu', 'dump', '-t', String(pid), ...where, ...options);
          expect([status, stderr]).toEqual([0, '']);
        };
        dump('first', '--leave-running');
        sayWhenDumped(inMount('first'), work);
        dump('absolute', '--leave-running', '--prev-images-dir', inMount('first'));
        const streamed = await stream('capture', inMount('sockets'));
        dump('sockets', '--leave-running', '--stream');
        await streamed();
        dump('relative', '--prev-images-dir', '../first');
      });
      const atDump = readState(stateFile);
      if (atDump === undefined) throw new Error(`${stateFile} is gone`);
      checkpoint = { images: mountPoint, pid, stateFile, atDump };
    } finally {
      await namespace.close();
    }
    expect(fs.lstatSync(inMount('sockets', 'streamer-capture.sock')).isSocket()).toBe(true);
    ckptfs('umount', mountPoint);
  });
  afterEach(() => clear(mountPoint));
  afterAll(() => fs.rmSync(base, { recursive: true }));

  const mounted = (...options: readonly string[]): unknown => mountOn(mountPoint, encrypted, ...options);

  /** Restores, and waits until the process counts on. */
  async function restores(images: string, options: { work?: string; extra?: readonly string[] }): Promise<void> {
    const restored = await restoreProcess(checkpoint, images, options);
    try {
      expect((await restored.countsOn()).damaged).toEqual([]);
    } finally {
      await restored.kill();
    }
  }

  systemTest([], 'writes log and pidfile into its working directory, which a mount that reads cannot be', async () => {
    const pidfile = ['--pidfile', 'pid'];
    const directory = inMount('relative');
    mounted();
    await expect(restores(directory, { extra: pidfile })).rejects.toThrow(readOnly);
    await expect(restores(directory, { work, extra: ['--pidfile', join(directory, 'pid')] })).rejects.toThrow(readOnly);
    await restores(directory, { work, extra: pidfile });
    expect(fs.readdirSync(work)).toEqual(expect.arrayContaining(['pid', 'restore.log', 'stats-restore']));
    ckptfs('umount', mountPoint);
    for (const option of ['--scratch', '--write']) {
      mounted(option);
      await restores(directory, { extra: pidfile });
      expect(fs.readFileSync(join(directory, 'pid'), 'utf8')).toBe(String(checkpoint.pid));
      expect(fs.readdirSync(directory)).toEqual(expect.arrayContaining(['restore.log', 'stats-restore']));
      for (const name of ['pid', 'restore.log', 'stats-restore']) fs.rmSync(join(directory, name));
      ckptfs('umount', mountPoint);
    }
  });

  systemTest([], 'finds a parent wherever the image is mounted by a path from the image directory alone', async () => {
    mounted();
    await restores(inMount('absolute'), { work });
    ckptfs('umount', mountPoint);
    const other = join(base, 'other');
    mountOn(other, encrypted);
    try {
      await restores(join(other, 'relative'), { work });
      await expect(restores(join(other, 'absolute'), { work })).rejects.toThrow("Can't open parent path");
    } finally {
      ckptfs('umount', other);
    }
  });

  systemTest([], 'dedups no mount that reads, and with --scratch only copies in memory', async () => {
    const dedup = (): readonly [number | null, string] => {
      const options = { env: toolEnvironment, encoding: 'utf8', timeout: PATIENCE } as const;
      const { status, stderr } = spawnSync('criu', ['dedup', '-D', inMount('relative')], options);
      return [status, stderr];
    };
    const blocks = (): number => fs.statSync(inMount('first', 'pages-1.img')).blocks;
    mounted();
    const before = blocks();
    expect(dedup()).toEqual([1, expect.stringContaining(readOnly)]);
    ckptfs('umount', mountPoint);
    mounted('--scratch');
    expect(dedup()[0]).toBe(0);
    expect(blocks()).toBeLessThan(before / 4);
    await restores(inMount('relative'), { work, extra: ['--auto-dedup'] });
    expect(fs.statSync(inMount('relative', 'pages-1.img')).blocks).toBeLessThan(before / 4);
    ckptfs('umount', mountPoint);
    mounted();
    expect(blocks()).toBe(before);
    await restores(inMount('relative'), { work });
    ckptfs('umount', mountPoint);
  });

  systemTest([], 'takes a stream of images by sockets: outside, on --scratch, or on a mount that writes', async () => {
    const outside = join(base, 'sockets');
    mounted();
    const streamed = await stream('serve', outside);
    await restores(outside, { work, extra: ['--stream'] });
    await streamed();
    const streamer = [streamerProgram, 'serve', inMount('sockets'), inMount('stream')];
    expect(spawnSync('/usr/bin/python3', streamer, { encoding: 'utf8', timeout: PATIENCE }).stderr).toContain(readOnly);
    ckptfs('umount', mountPoint);
    for (const option of ['--scratch', '--write']) {
      mounted(option);
      const inside = await stream('serve', inMount('sockets'));
      await restores(inMount('sockets'), { work, extra: ['--stream'] });
      await inside();
      fs.rmSync(inMount('sockets', 'streamer-serve.sock'));
      ckptfs('umount', mountPoint);
    }
  });
});
