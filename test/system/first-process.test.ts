// Goal: as the first process of a container ckptfs ends by every signal, whenever it comes, and leaves no zombies.
// Method: it is started as the first process of a pid namespace, where the kernel drops signals without a handler.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { endOf, kill } from './support/children.ts';
import { ckptfs, isMounted } from './support/ckptfs.ts';
import { ckptfsProgram, clear, until } from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { describeIf, systemTest, toolEnvironment } from './support/requirements.ts';

const INIT = ['--pid', '--fork', '--kill-child', ckptfsProgram] as const;

let base: string;
let running: ChildProcess | undefined;
const at = (name: string): string => join(base, name);

beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-first-process-')));
  for (const name of ['source', 'mnt']) fs.mkdirSync(at(name));
  fs.writeFileSync(at('source/pages-1.img'), 'pages');
  ckptfs('keygen', '-o', at('key'));
});

afterEach(async () => {
  if (running !== undefined) await kill(running, 'SIGKILL');
  clear(at('mnt'));
  fs.rmSync(base, { recursive: true });
});

const childrenOf = (pid: number | undefined): number[] =>
  fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number);

/** Starts the command as the first process of a namespace, and returns the pid that it has here. */
async function startFirst(...words: readonly string[]): Promise<number> {
  const child = spawn('unshare', [...INIT, ...words], { env: toolEnvironment, stdio: 'ignore' });
  running = child;
  await until('it is started', () => childrenOf(child.pid).length > 0);
  return childrenOf(child.pid)[0] ?? 0;
}

describeIf(['root', 'fuse', 'namespaces'], 'as the first process', () => {
  systemTest([], 'a command reads its standard input, and its exit code is passed on', () => {
    const run = (input: string) =>
      spawnSync('unshare', [...INIT, 'encrypt', at('source'), at(input), '-k', '-'], {
        env: toolEnvironment,
        input,
        encoding: 'utf8',
        timeout: PATIENCE,
      });
    expect(run(fs.readFileSync(at('key'), 'utf8').trim())).toMatchObject({ status: 0 });
    expect(run('no key')).toMatchObject({ status: 10 });
    const closed = spawnSync('sh', ['-c', 'exec unshare "$@" <&-', 'sh', ...INIT, 'umount', at('mnt')], {
      env: toolEnvironment,
      encoding: 'utf8',
      timeout: PATIENCE,
    });
    expect(closed).toMatchObject({
      status: 31,
      stderr: expect.stringMatching(/^ckptfs: \S+ is not a mount of ckptfs/),
    });
  });

  systemTest([], 'a mount ends while it waits for its key', async () => {
    ckptfs('encrypt', at('source'), at('enc'), '-k', at('key'), '-q');
    const waits = `cmd:echo > ${at('asked')}; sleep 1000`;
    const pid = await startFirst('mount', '-f', at('enc'), at('mnt'), '--key', waits);
    await until('the key is asked for', () => fs.existsSync(at('asked')));
    process.kill(pid, 'SIGTERM');
    if (running !== undefined) expect(await endOf(running)).toEqual([143, null]);
    expect(isMounted(at('mnt'))).toBe(false);
  });

  systemTest([], 'a mount reaps what others leave, and seals and ends by SIGTERM', async () => {
    const pid = await startFirst('mount', '--write', '-f', at('enc'), at('mnt'), '-k', at('key'));
    await until('it is mounted', () => isMounted(at('mnt')));
    fs.writeFileSync(at('mnt/pages-1.img'), 'pages');
    const orphans = ['--target', String(pid), '--pid', 'sh', '-c', 'for i in 1 2 3; do sleep 0.1 & done'];
    expect(spawnSync('nsenter', orphans, { timeout: PATIENCE })).toMatchObject({ status: 0 });
    await until('only its own child is left', () => childrenOf(pid).length === 1);
    process.kill(pid, 'SIGTERM');
    if (running !== undefined) expect(await endOf(running)).toEqual([0, null]);
    expect(isMounted(at('mnt'))).toBe(false);
    expect(ckptfs('verify', at('enc'), '-k', at('key'))).toMatch(/^intact/);
  });
});
