// Goal: another process of the same user cannot read keys from a mount that is being made.
// Method: a thief in Python copies descriptors and memory of real daemons as early as it can.
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { readAnyHeader } from '../../src/image/read/image.ts';
import { readKeyFile } from '../../src/keys/key-file.ts';
import { unwrapImageKey } from '../../src/keys/provider.ts';
import { symmetricKeyProvider } from '../../src/keys/symmetric-key.ts';
import { LocalStore } from '../../src/stores/local-store.ts';
import { endOf } from './support/children.ts';
import { isMounted } from './support/ckptfs.ts';
import { asNobody, ckptfsProgram, clear, until, withFuseForAll } from './support/mounts.ts';
import { inTime } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';

const NOBODY = 65534;
const thiefProgram = fileURLToPath(new URL('../fixtures/key-thief.py', import.meta.url));

const home = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-theft-')));
const [image, keyFile, mountPoint] = ['enc', 'key', 'mnt'].map((name) => join(home, name)) as [string, string, string];

beforeAll(() => {
  fs.mkdirSync(join(home, 'source'));
  fs.writeFileSync(join(home, 'source', 'inventory.img'), 'contents');
  fs.mkdirSync(mountPoint);
  runProgram('chown', '-R', `${NOBODY}:${NOBODY}`, home);
  for (const command of [
    ['keygen', '-o', keyFile],
    ['encrypt', join(home, 'source'), image, '-k', keyFile, '--quiet'],
  ]) {
    const [program, ...args] = asNobody(home);
    runProgram(program, ...args, ckptfsProgram, ...command);
  }
});
afterEach(() => clear(mountPoint));
afterAll(() => fs.rmSync(home, { recursive: true }));

/** A program and its first arguments, which start another program as a user. */
type User = readonly [string, ...string[]];

const nobody: User = asNobody(home);
/** Root who may not look into processes of its own that forbid it, as in most containers. */
const confinedRoot: User = ['setpriv', '--bounding-set', '-sys_ptrace'];

function startAs([program, ...args]: User, ...command: readonly string[]): ChildProcess {
  return spawn(program, [...args, ...command], { stdio: ['pipe', 'pipe', 'inherit'] });
}

async function imageKeyOf(directory: string): Promise<string> {
  const { slots, imageId } = readAnyHeader(new LocalStore(directory));
  const provider = symmetricKeyProvider(readKeyFile(keyFile).key, 'key');
  const { imageKey } = await unwrapImageKey(slots, imageId, [provider]);
  return Buffer.from(imageKey.bytes).toString('hex');
}

/**
 * Returns what another process of the same user sees while a command mounts, in hexadecimal digits, and of how many
 * daemons it had descriptors.
 */
async function seenDuring(
  user: User,
  program: string,
  work: () => Promise<void>,
): Promise<{ seen: string; stopped: number }> {
  const thief = startAs(user, 'python3', thiefProgram, 'enc', program);
  const lines: string[] = [];
  const output = createInterface({ input: thief.stdout as NodeJS.ReadableStream });
  output.on('line', (line) => lines.push(line));
  const ended = new Promise((resolve) => output.once('close', resolve));
  await until('the thief watches', () => lines.length > 0);
  try {
    await work();
  } finally {
    thief.stdin?.end('\n');
    await inTime('the end of what the thief says', ended);
  }
  return { seen: lines.join('\n'), stopped: Number(lines.at(-1)?.split(' ')[1]) };
}

async function succeedsAs(user: User, ...command: readonly string[]): Promise<void> {
  expect(await endOf(startAs(user, ckptfsProgram, ...command))).toEqual([0, null]);
}

async function mountAndUnmount(where: string, options: readonly string[]): Promise<void> {
  const mounted = succeedsAs(nobody, 'mount', where, mountPoint, '-k', keyFile, ...options);
  await until('it is mounted', () => isMounted(mountPoint));
  if (!options.includes('-f')) await mounted;
  await succeedsAs(nobody, 'umount', mountPoint);
  await mounted;
}

/** @param program what the process runs that becomes the daemon */
async function expectNoCopyOfKey(
  user: User,
  where: string,
  work: () => Promise<void>,
  program = '/daemon.js',
): Promise<void> {
  const { seen, stopped } = await seenDuring(user, program, work);
  // The thief is there in time: before the daemon is hardened.
  expect(stopped).toBe(1);
  expect(seen).not.toContain(await imageKeyOf(where));
}

describeIf(['root', 'fuse', 'fusermount', 'setpriv', 'python'], 'another process of the same user', () => {
  const mounts: readonly (readonly [string, string, readonly string[]])[] = [
    ['a mount', image, []],
    ['a writable mount', join(home, 'new-enc'), ['--write']],
    ['a mount in the foreground', image, ['-f']],
    ['a writable mount in the foreground', join(home, 'other-enc'), ['-f', '--write']],
  ];
  for (const [name, where, options] of mounts) {
    // A plain mount is one process, the command.
    const program = options.length === 0 ? '/bin/ckptfs' : '/daemon.js';
    systemTest([], `gets no copy of the key of ${name}`, () =>
      withFuseForAll(() => expectNoCopyOfKey(nobody, where, () => mountAndUnmount(where, options), program)),
    );
  }

  const execs: readonly (readonly [string, string, readonly string[]])[] = [
    ['exec', image, []],
    ['exec --write', join(home, 'exec-enc'), ['--write']],
  ];
  for (const [name, where, options] of execs) {
    systemTest(['namespaces'], `gets no copy of the key of ${name}`, () =>
      expectNoCopyOfKey(confinedRoot, where, () =>
        // Without --private, the command's path to the mount needs the right that this root lacks.
        succeedsAs(confinedRoot, 'exec', where, '-k', keyFile, '--private', ...options, '--', 'ls', '{}'),
      ),
    );
  }
});
