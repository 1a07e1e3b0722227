// Goal: no user reaches another one's plaintext or files through our daemons, sockets and paths.
// Method: a user of its own makes links, files and sockets where ours are expected, beside real commands.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { getEventListeners } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { kill } from './support/children.ts';
import { ckptfs, isMounted, runCkptfs } from './support/ckptfs.ts';
import { create, open } from './support/images.ts';
import {
  asNobody,
  built,
  ckptfsProgram,
  clear,
  type Encrypted,
  encryptInto,
  isAlive,
  mountOn,
  statusOf,
  until,
} from './support/mounts.ts';
import { inTime, PATIENCE } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';

const { extractImage } = await built<typeof import('../../src/image/extract/extract.ts')>('image/extract/extract.js');

const NOBODY = 65534;
/** A user that no other test is. */
const MALLORY = 65533;

const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-hostile-')));
const mountPoint = join(base, 'mnt');
let encrypted: Encrypted;

beforeAll(() => {
  fs.chmodSync(base, 0o755);
  fs.mkdirSync(join(base, 'source'), { mode: 0o755 });
  fs.writeFileSync(join(base, 'source', 'pages-1.img'), Buffer.alloc(1 << 20, 'pages'), { mode: 0o644 });
  fs.writeFileSync(join(base, 'source', 'program'), '#!/bin/sh\necho ran\n', { mode: 0o755 });
  fs.chmodSync(join(base, 'source', 'program'), 0o6755);
  encrypted = encryptInto(base, join(base, 'source'));
  fs.mkdirSync(mountPoint);
});
afterEach(() => clear(mountPoint));
afterAll(() => fs.rmSync(base, { recursive: true }));

function nobody(...command: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const [program, ...args] = asNobody(base);
  return spawnSync(program, [...args, ...command], { encoding: 'utf8', timeout: PATIENCE });
}

describeIf(['root', 'fuse', 'setpriv'], 'a mount with scratch space', () => {
  const expected: readonly (readonly [readonly string[], string])[] = [
    [[], ''],
    [['--allow-root'], ''],
    [['--allow-other'], 'pages'],
  ];
  for (const [options, seen] of expected) {
    systemTest([], `with ${options.join(' ') || 'no option'} lets others in as one without does`, () => {
      mountOn(mountPoint, encrypted, '--scratch', ...options);
      expect(nobody('head', '-c', '5', join(mountPoint, 'pages-1.img')).stdout).toBe(seen);
      expect(fs.readFileSync(join(mountPoint, 'pages-1.img')).length).toBe(1 << 20);
      fs.writeFileSync(join(mountPoint, 'restore.log'), 'x');
      ckptfs('umount', mountPoint);
    });
  }

  systemTest([], 'runs no programs when told so', () => {
    mountOn(mountPoint, encrypted, '--scratch');
    expect(runProgram(join(mountPoint, 'program'))).toBe('ran\n');
    ckptfs('umount', mountPoint);
    mountOn(mountPoint, encrypted, '--scratch', '-o', 'noexec');
    expect(spawnSync(join(mountPoint, 'program')).error).toMatchObject({ code: 'EACCES' });
    ckptfs('umount', mountPoint);
  });
});

describeIf(['root', 'fuse'], "another user's state directory", () => {
  const theirs = `/tmp/ckptfs-${MALLORY}`;
  let server: net.Server | undefined;
  afterEach(async () => {
    await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
    server = undefined;
    fs.rmSync(theirs, { recursive: true, force: true });
  });

  function makeTheirs(): void {
    fs.mkdirSync(theirs, { mode: 0o700 });
    fs.chownSync(theirs, MALLORY, MALLORY);
  }

  /** Answers for a device as its daemon did, but for the image. */
  async function forge(device: string, answer: object): Promise<void> {
    makeTheirs();
    const text = `${JSON.stringify({ ...answer, location: '/forged', device })}\n`;
    server = net.createServer((caller) =>
      caller
        .on('error', () => undefined)
        .resume()
        .end(text),
    );
    await new Promise<void>((resolve) => server?.listen(join(theirs, `${device}-1.sock`), resolve));
  }

  systemTest([], 'speaks for no mount of root, whether its daemon lives or not', async () => {
    const { pid } = mountOn(mountPoint, encrypted);
    const before = statusOf(mountPoint);
    await forge(before?.device ?? '', before?.daemon ?? {});
    // Not by the command run to its end in this thread, which has to answer meanwhile.
    const { listMounts } = await built<typeof import('../../src/serve/control/status.ts')>('serve/control/status.js');
    const { unmountImage } = await built<typeof import('../../src/serve/control/umount.ts')>('serve/control/umount.js');
    const status = async () => (await listMounts()).filter(({ device }) => device === before?.device);
    expect(await status()).toMatchObject([{ state: 'serving', source: encrypted.image, pid }]);
    const held = fs.openSync(join(mountPoint, 'pages-1.img'), 'r');
    await unmountImage(mountPoint, { lazy: true });
    expect(await status()).toMatchObject([{ state: 'elsewhere', source: encrypted.image, pid }]);
    fs.closeSync(held);
    await until('the daemon has ended', () => !isAlive(pid));
  });

  systemTest([], 'makes no dead mount of root look alive, nor umount wait for it', async () => {
    const { pid } = mountOn(mountPoint, encrypted);
    const before = statusOf(mountPoint);
    await forge(before?.device ?? '', before?.daemon ?? {});
    process.kill(pid, 'SIGKILL');
    await until('the daemon is dead', () => !isAlive(pid));
    const { listMounts } = await built<typeof import('../../src/serve/control/status.ts')>('serve/control/status.js');
    const { unmountImage } = await built<typeof import('../../src/serve/control/umount.ts')>('serve/control/umount.js');
    const found = (await listMounts()).find((one) => one.mountPoint === mountPoint);
    expect(found).toMatchObject({ state: 'dead', daemon: undefined });
    expect(await unmountImage(mountPoint)).toEqual({ mountPoint, wiped: true, write: false, ephemeral: false });
    expect(fs.readdirSync(theirs)).toEqual([`${before?.device}-1.sock`]);
  });

  systemTest([], 'keeps no dead mount of root from being unmounted', async () => {
    const { pid } = mountOn(mountPoint, encrypted);
    const { device = '' } = statusOf(mountPoint) ?? {};
    makeTheirs();
    fs.mkdirSync(join(theirs, `${device}-1.sock`));
    process.kill(pid, 'SIGKILL');
    await until('the daemon is dead', () => !isAlive(pid));
    // In root's own as well: whatever it is, unmounting goes on.
    fs.rmSync(`/run/ckptfs/${device}-${pid}.sock`);
    fs.mkdirSync(`/run/ckptfs/${device}-${pid}.sock`);
    try {
      expect(statusOf(mountPoint)?.state).toBe('dead');
      ckptfs('umount', mountPoint);
      expect(isMounted(mountPoint)).toBe(false);
    } finally {
      fs.rmdirSync(`/run/ckptfs/${device}-${pid}.sock`);
    }
  });
});

describeIf(['root', 'setpriv'], 'decrypt', () => {
  const decrypt = (target: string) => runCkptfs('decrypt', encrypted.image, target, '-k', encrypted.keyFile, '--quiet');
  const modeOf = (path: string): string => (fs.statSync(path).mode & 0o7777).toString(8);

  systemTest([], 'refuses an empty directory that another user can change', () => {
    const target = join(base, 'theirs');
    fs.mkdirSync(target);
    fs.chownSync(target, NOBODY, NOBODY);
    expect(decrypt(target)).toMatchObject({ status: 4, stderr: expect.stringContaining('another user') });
    fs.chownSync(target, 0, 0);
    fs.chmodSync(target, 0o777);
    fs.writeFileSync(join(target, 'planted'), '');
    expect(decrypt(target).stderr).toContain('is not empty');
    expect(modeOf(target)).toBe('777');
    fs.rmSync(join(target, 'planted'));
    fs.symlinkSync(target, join(base, 'link'));
    expect(decrypt(join(base, 'link')).stderr).toContain('is not a directory');
    expect(fs.readdirSync(target)).toEqual([]);
    expect(decrypt(target).status).toBe(0);
    expect(modeOf(target)).toBe('755');
    expect(modeOf(join(target, 'program'))).toBe('6755');
  });

  systemTest(
    [],
    'writes into the directory it made, wherever its name leads meanwhile, and lets no other user in',
    async () => {
      const [image, target] = [join(base, 'large'), join(base, 'swapped')];
      const source = fs.mkdtempSync(join(base, 'large-source-'));
      for (const name of ['a', 'b', 'c']) fs.writeFileSync(join(source, name), Buffer.alloc(5 << 20, name));
      fs.chmodSync(source, 0o755);
      await create(source, image);
      const away = join(base, 'away');
      const decoy = join(base, 'decoy');
      fs.mkdirSync(decoy);
      const modes: string[] = [];
      let swapped = false;
      const onProgress = (): void => {
        if (!swapped) {
          fs.renameSync(target, away);
          fs.symlinkSync(decoy, target);
          swapped = true;
        }
        modes.push(modeOf(away));
      };
      await extractImage(await open(image), target, { onProgress, jobs: 1 });
      expect(new Set(modes)).toEqual(new Set(['700']));
      expect(fs.readdirSync(decoy)).toEqual([]);
      expect(modeOf(decoy)).toBe('755');
      runProgram('diff', '-r', source, away);
      expect(modeOf(away)).toBe('755');
    },
  );

  systemTest([], 'by an ordinary user gives no program the rights of that user', () => {
    const home = join(base, 'home');
    fs.cpSync(encrypted.image, join(home, 'enc'), { recursive: true });
    fs.copyFileSync(encrypted.keyFile, join(home, 'key'));
    runProgram('chown', '-R', `${NOBODY}:${NOBODY}`, home);
    const [image, target, key] = ['enc', 'out', 'key'].map((name) => join(home, name)) as [string, string, string];
    expect(nobody(ckptfsProgram, 'decrypt', image, target, '-k', key, '--quiet')).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(fs.statSync(join(target, 'program')).uid).toBe(NOBODY);
    expect(modeOf(join(target, 'program'))).toBe('755');
  });

  systemTest([], 'leaves no listener on its signal', async () => {
    const { signal } = new AbortController();
    const image = join(base, 'for-signal');
    await create(join(base, 'source'), image, { signal });
    await extractImage(await open(image), join(base, 'for-signal-out'), { signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  systemTest([], 'and cat hold their keys in memory that is in no core file', async () => {
    const home = join(base, 'cat');
    fs.cpSync(encrypted.image, join(home, 'enc'), { recursive: true });
    fs.copyFileSync(encrypted.keyFile, join(home, 'key'));
    runProgram('chown', '-R', `${NOBODY}:${NOBODY}`, home);
    const [program, ...args] = asNobody(home);
    const command = [ckptfsProgram, 'cat', join(home, 'enc'), 'pages-1.img', '-k', join(home, 'key')];
    const cat: ChildProcess = spawn(program, [...args, ...command], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      // What it writes fits into no pipe, so it waits. What is not dumpable shows as root's (proc(5)).
      await inTime('output of cat', new Promise((resolve) => cat.stdout?.once('readable', resolve)));
      expect(String(cat.stdout?.read(5))).toBe('pages');
      expect(fs.statSync(`/proc/${cat.pid}/environ`).uid).toBe(0);
    } finally {
      await kill(cat);
    }
  });
});
