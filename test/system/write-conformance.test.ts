// Goal: a writable mount answers every system call as ext4 does.
// Method: one C program runs on both, and its reports are compared line by line.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect } from 'vitest';
import { WritableMount } from '../support/writable-mount.ts';
import { clear } from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';

const sources = fileURLToPath(new URL('../fixtures/conform/', import.meta.url));

/** The parts of test/fixtures/conform. */
const sections = [
  'opening',
  'opening_combined',
  'writing',
  'writing_at_random',
  'appending',
  'truncating',
  'allocating',
  'direct',
  'mapping',
  'copying',
  'piping',
  'unlinked',
  'syncing',
  'making',
  'linking',
  'removing',
  'renaming',
  'renaming_combined',
  'naming',
  'listing',
  'modes',
  'privileges',
  'times',
  'extended',
  'permissions',
  'locking',
  'meeting',
  'changing',
];

/** Leaves FIFOs and sockets, which diff(1) calls different. */
const meeting = 'meeting';

/** Leaves paths that are too long for a program to name from outside. */
const unnameable = 'naming';

/** What find(1) and getfattr(1) tell of a tree, but for times. */
function listed(directory: string): string[] {
  const program = `
    cd "$1"
    find . -type f -printf '%P %m %U:%G %n %s\n' -o -type d -printf '%P %m %U:%G %n\n' -o -printf '%P %y %m %U:%G %n %l\n' | sort
    find . '(' -type f -o -type d ')' -print0 | sort -z | xargs -0 getfattr --no-dereference --dump --match=-`;
  return runProgram('bash', '-c', program, 'bash', directory).split('\n');
}

describeIf(['root', 'fuse', 'gcc', 'loop', 'getfattr'], 'a mount that can be written does what ext4 does', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-conform-')));
  const [program, twin] = ['conform', 'twin'].map((name) => join(base, name)) as [string, string];
  let mount: WritableMount;

  beforeAll(() => {
    fs.chmodSync(base, 0o755);
    const files = fs.readdirSync(sources).filter((name) => name.endsWith('.c'));
    runProgram('gcc', '-O1', '-Wall', '-Werror', '-o', program, ...files.map((name) => join(sources, name)));
    const disk = join(base, 'disk');
    fs.writeFileSync(disk, '');
    fs.truncateSync(disk, 256 << 20);
    runProgram('mkfs.ext4', '-q', '-b', '4096', '-I', '256', '-m', '0', disk);
    fs.mkdirSync(twin);
    runProgram('mount', '-o', 'loop', disk, twin);
    mount = new WritableMount(base);
    mount.mount('--allow-other');
    fs.chmodSync(mount.mountPoint, 0o755);
  });
  afterAll(() => {
    mount.discard();
    clear(twin);
    fs.rmSync(base, { recursive: true });
  });

  const told = (root: string, section: string): string[] => {
    const directory = join(root, section);
    fs.mkdirSync(directory);
    return execFileSync(program, [section, directory], {
      encoding: 'latin1',
      maxBuffer: 64 << 20,
      timeout: PATIENCE,
    }).split('\n');
  };

  for (const section of sections) {
    systemTest([], section, () => {
      const expected = told(twin, section);
      expect(expected.length).toBeGreaterThan(10);
      expect(told(mount.mountPoint, section)).toEqual(expected);
    });
  }

  systemTest([], 'statfs', () => {
    const [here, below] = [fs.statfsSync(mount.mountPoint), fs.statfsSync(mount.image)];
    expect(here.bsize).toBe(4096);
    expect(here.blocks * here.bsize).toBe(below.blocks * below.bsize);
    expect(Math.abs(here.bavail * here.bsize - below.bavail * below.bsize)).toBeLessThan(1 << 30);
    expect(here.files).toBeGreaterThan(100);
  });

  systemTest([], 'and all of it is in the sealed image', () => {
    const kept = sections.filter((section) => section !== unnameable);
    for (const root of [mount.mountPoint, twin]) runProgram('rm', '-r', join(root, unnameable));
    const before = kept.map((section) => listed(join(twin, section)));
    expect(kept.map((section) => listed(join(mount.mountPoint, section)))).toEqual(before);
    mount.unmount();
    mount.run('verify');
    const copy = join(base, 'copy');
    mount.decrypt(copy);
    expect(kept.map((section) => listed(join(copy, section)))).toEqual(before);
    const comparable = kept.filter((section) => section !== meeting);
    for (const section of comparable)
      runProgram('diff', '-r', '--no-dereference', join(twin, section), join(copy, section));
    mount.mount();
    expect(kept.map((section) => listed(join(mount.mountPoint, section)))).toEqual(before);
    mount.unmount();
  });
});
