// Goal: series of dumps, pre-dumps and restores by criu work on a writable mount.
// Method: a real criu and real processes.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { punchHole } from '../../src/base/linux/files.ts';
import { WritableMount } from '../support/writable-mount.ts';
import { type Checkpoint, restoreProcess, sayWhenDumped } from './support/checkpoints.ts';
import { buildFixture, readState, waitForState, whileAtRest } from './support/fixtures.ts';
import { storedBytes } from './support/images.ts';
import { until } from './support/mounts.ts';
import { type Namespace, openNamespace } from './support/namespace.ts';
import { describeIf, systemTest } from './support/requirements.ts';

const MIB = 1 << 20;
const PAGE = 4096;
const MEMORY = 24 * MIB;

let base: string;
let mount: WritableMount;
let stateFile: string;
const at = (...names: string[]): string => join(base, ...names);
const inMount = (...names: string[]): string => join(mount.mountPoint, ...names);

beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-write-criu-')));
  stateFile = at('state');
  fs.mkdirSync(at('work'));
  mount = new WritableMount(base);
  mount.mount();
});
afterEach(() => {
  mount.discard();
  fs.rmSync(base, { recursive: true });
});

/** Runs criu. @param directory of image files @throws Error with its own errors */
function criu(namespace: Namespace, action: string, directory: string, ...args: readonly string[]): void {
  const log = at('work', `${action}.log`);
  const { status, stderr } = namespace.run('criu', action, '-D', directory, '-W', at('work'), '-o', log, ...args);
  if (status === 0) return;
  const said = fs.existsSync(log) ? fs.readFileSync(log, 'utf8') : '';
  throw new Error(
    `criu ${action} (${status}): ${stderr}${said
      .split('\n')
      .filter((line) => line.includes('Error'))
      .join('\n')}`,
  );
}

/** Runs `work` beside a process with {@link MEMORY} at rest, in a namespace that sees the mount. */
async function besideProcess(work: (namespace: Namespace, pid: number) => Promise<void>): Promise<Checkpoint> {
  const command = buildFixture('counter', { directory: base, stateFile, mebibytes: MEMORY / MIB });
  const namespace = await openNamespace();
  try {
    const pid = namespace.launch(...command);
    await waitForState(stateFile, (state) => state.passes >= 1);
    await whileAtRest(stateFile, () => work(namespace, pid));
    const atDump = readState(stateFile);
    if (atDump === undefined) throw new Error(`${stateFile} is gone`);
    return { images: mount.mountPoint, pid, stateFile, atDump };
  } finally {
    await namespace.close();
  }
}

/** Dumps into one directory for each of `extra`, each with the one before as parent; the process is gone then. */
async function dumpChain(...extra: readonly (readonly string[])[]): Promise<Checkpoint> {
  return besideProcess(async (namespace, pid) => {
    for (const [index, options] of extra.entries()) {
      const number = index + 1;
      fs.mkdirSync(inMount(String(number)));
      const parent = index === 0 ? [] : ['--prev-images-dir', `../${index}`];
      const running = number < extra.length ? ['--leave-running'] : [];
      criu(namespace, 'dump', inMount(String(number)), '-t', String(pid), ...parent, ...running, ...options);
      if (number < extra.length) sayWhenDumped(inMount(String(number)), at('work'));
    }
  });
}

/** Restores from a directory and waits until the process has compared all its memory; it is gone then. */
async function expectRestores(checkpoint: Checkpoint, images: string, ...extra: readonly string[]): Promise<void> {
  const restored = await restoreProcess(checkpoint, images, { work: at('work'), extra });
  try {
    expect((await restored.countsOn()).damaged).toEqual([]);
  } finally {
    await restored.kill();
  }
}

/** Seals the image and verifies it. @returns the bytes it takes on disk */
function sealed(): number {
  mount.unmount();
  mount.run('verify');
  return storedBytes(mount.image);
}

function dataBytes(path: string): number {
  return fs.statSync(path).blocks * 512;
}

describeIf(['root', 'fuse', 'criu', 'namespaces', 'gcc'], 'criu on a mount that can be written', () => {
  systemTest(['crit'], 'dumps a chain, of which dedup gives back what the second made needless', async () => {
    const checkpoint = await dumpChain([], []);
    const whole = dataBytes(inMount('1', 'pages-1.img'));
    expect(whole).toBeGreaterThan(MEMORY);
    const before = sealed();
    mount.mount();
    const namespace = await openNamespace();
    // It looks for the parent from its working directory.
    criu(namespace, 'dedup', inMount('2'), '-W', inMount('2'));
    await namespace.close();
    const left = dataBytes(inMount('1', 'pages-1.img'));
    expect(left).toBeLessThan(MIB);
    const after = sealed();
    // Not more stays than the records of what is gone, and chunks of which a page is still needed.
    expect(before - after).toBeGreaterThan((whole - left) * 0.98);
    mount.mount();
    await expectRestores(checkpoint, inMount('2'));
  });

  systemTest(['crit'], 'dumps a chain with --auto-dedup', async () => {
    const checkpoint = await dumpChain([], ['--auto-dedup'], ['--auto-dedup']);
    for (const number of ['1', '2']) expect(dataBytes(inMount(number, 'pages-1.img'))).toBeLessThan(MIB);
    expect(sealed()).toBeLessThan(MEMORY * 1.1);
    mount.mount();
    await expectRestores(checkpoint, inMount('3'));
  });

  systemTest([], 'restores with --auto-dedup, which leaves nothing of the pages', async () => {
    const checkpoint = await dumpChain([]);
    expect(sealed()).toBeGreaterThan(MEMORY);
    mount.mount();
    await expectRestores(checkpoint, inMount('1'), '--auto-dedup');
    expect(dataBytes(inMount('1', 'pages-1.img'))).toBeLessThan(MIB);
    expect(sealed()).toBeLessThan(2 * MIB);
  });

  systemTest([], 'gives back the room of single pages', async () => {
    await dumpChain([]);
    const before = sealed();
    mount.mount();
    const file = inMount('1', 'pages-1.img');
    const { size } = fs.statSync(file);
    const fd = fs.openSync(file, 'r+');
    for (let offset = 0; offset < size; offset += 4 * PAGE) expect(punchHole(fd, offset, PAGE)).toBe(true);
    fs.closeSync(fd);
    expect(dataBytes(file)).toBeLessThan(size * 0.751);
    const freed = before - sealed();
    expect(freed).toBeGreaterThan(size * 0.24);
    expect(freed).toBeLessThan(size * 0.26);
  });

  systemTest([], 'takes the pages through its page server', async () => {
    const port = String(40_000 + (process.pid % 20_000));
    const checkpoint = await besideProcess(async (namespace, pid) => {
      const address = ['--address', '127.0.0.1', '--port', port];
      const server = namespace.launch(
        'criu',
        'page-server',
        '-D',
        mount.mountPoint,
        '-W',
        at('work'),
        '-o',
        'server.log',
        '-v4',
        ...address,
      );
      await until('the page server listens', () =>
        namespace.run('ss', '-Hltn', `sport = :${port}`).stdout.includes(port),
      );
      criu(namespace, 'dump', mount.mountPoint, '-t', String(pid), '--page-server', ...address);
      await until('the page server is done', () => namespace.run('kill', '-0', String(server)).status !== 0);
    });
    expect(sealed()).toBeGreaterThan(MEMORY);
    mount.mount();
    await expectRestores(checkpoint, mount.mountPoint);
  });

  systemTest([], 'restores at once and brings the pages when they are asked for', async () => {
    const checkpoint = await dumpChain([]);
    sealed();
    mount.mount();
    const namespace = await openNamespace();
    try {
      // Or it would take the pid of what is to be restored.
      namespace.run('sh', '-c', 'echo 1000 > /proc/sys/kernel/ns_last_pid');
      namespace.launch('criu', 'lazy-pages', '-D', inMount('1'), '-W', at('work'), '-o', 'lazy.log', '-v4');
      await until('the pages are served', () => fs.existsSync(at('work', 'lazy-pages.socket')));
      criu(namespace, 'restore', inMount('1'), '-d', '--lazy-pages');
      const { passes } = checkpoint.atDump;
      const state = await waitForState(stateFile, (now) => now.passes >= passes + 2);
      expect(state.damaged).toEqual([]);
      expect(fs.readFileSync(at('work', 'lazy.log'), 'utf8')).toMatch(/uffd: .*transferred pages: \(\d\d\d+\/\d+\)/);
    } finally {
      await namespace.close();
    }
  });
});
