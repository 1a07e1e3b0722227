// Goal: another process of the same user cannot read keys from a mount that is being made.
// Method: a thief in Python copies descriptors and memory of real daemons as early as it can.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { readAnyHeader } from '../../src/image/read/image.ts';
import { keyFileProvider, readKeyFile } from '../../src/keys/key-file.ts';
import { unwrapImageKey } from '../../src/keys/provider.ts';
import { LocalStore } from '../../src/stores/local-store.ts';
import { isMounted } from './support/ckptfs.ts';
import { asNobody, ckptfsProgram, clear, until, withFuseForAll } from './support/mounts.ts';
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

function asUser(...command: readonly string[]): ChildProcess {
  const [program, ...args] = asNobody(home);
  return spawn(program, [...args, ...command], { stdio: ['pipe', 'pipe', 'inherit'] });
}

async function imageKeyOf(directory: string): Promise<string> {
  const { slots } = readAnyHeader(new LocalStore(directory));
  const key = await unwrapImageKey(slots, [keyFileProvider(readKeyFile(keyFile).key)]);
  return Buffer.from(key.bytes).toString('hex');
}

/**
 * What another process of the same user sees while a command mounts, in hexadecimal digits, and of how many daemons it
 * had descriptors.
 */
async function seenDuring(work: () => Promise<void>): Promise<{ seen: string; stopped: number }> {
  const thief = asUser('python3', thiefProgram, 'enc');
  const lines: string[] = [];
  const output = createInterface({ input: thief.stdout as NodeJS.ReadableStream });
  output.on('line', (line) => lines.push(line));
  const ended = once(output, 'close');
  await until('the thief watches', () => lines.length > 0);
  try {
    await work();
  } finally {
    thief.stdin?.end('\n');
    await ended;
  }
  return { seen: lines.join('\n'), stopped: Number(lines.at(-1)?.split(' ')[1]) };
}

async function mountAndUnmount(where: string, options: readonly string[]): Promise<void> {
  const mount = asUser(ckptfsProgram, 'mount', where, mountPoint, '-k', keyFile, ...options);
  const mounted = once(mount, 'exit');
  await until('it is mounted', () => isMounted(mountPoint));
  if (!options.includes('-f')) expect(await mounted).toEqual([0, null]);
  const unmounted = once(asUser(ckptfsProgram, 'umount', mountPoint), 'exit');
  expect(await unmounted).toEqual([0, null]);
  if (options.includes('-f')) expect(await mounted).toEqual([0, null]);
}

describeIf(['root', 'fuse', 'fusermount', 'setpriv', 'python'], 'another process of the same user', () => {
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ['a mount', image, []],
    ['a writable mount', join(home, 'new-enc'), ['--write']],
    ['a mount in the foreground', image, ['-f']],
    ['a writable mount in the foreground', join(home, 'other-enc'), ['-f', '--write']],
  ];
  for (const [name, where, options] of cases) {
    systemTest([], `gets no copy of the key of ${name}`, async () => {
      await withFuseForAll(async () => {
        const { seen, stopped } = await seenDuring(() => mountAndUnmount(where, options));
        // It is there in time: before the daemon is hardened.
        expect(stopped).toBe(1);
        expect(seen).not.toContain(await imageKeyOf(where));
      });
    });
  }
});
