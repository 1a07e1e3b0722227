// Goal: when a foreground daemon is killed before it has its key, the child that unlocks the key does not go on alone.
// Method: the daemon dies at a known point: its child kills it before its own first line, or waits for the key file.
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { kill } from './support/children.ts';
import { isMounted } from './support/ckptfs.ts';
import { ckptfsProgram, clear, type Encrypted, encryptInto, statusOf, until } from './support/mounts.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';

describeIf(['root', 'fuse'], 'the child of a foreground daemon that is killed', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-orphan-')));
  const mountPoint = join(base, 'mnt');
  let encrypted: Encrypted;
  beforeAll(() => {
    fs.mkdirSync(join(base, 'source'));
    fs.mkdirSync(mountPoint);
    encrypted = encryptInto(base, join(base, 'source'));
  });
  afterEach(() => clear(mountPoint));
  afterAll(() => fs.rmSync(base, { recursive: true }));

  function mountInForeground(keyFile: string, environment: NodeJS.ProcessEnv = {}): ChildProcess {
    return spawn(ckptfsProgram, ['mount', '-f', encrypted.image, mountPoint, '-k', keyFile], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
  }

  /** Returns what the daemon and its child print, once both have ended: the child holds the same standard error. */
  async function outputOf(daemon: ChildProcess): Promise<string> {
    let text = '';
    daemon.stderr?.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    let hasEnded = false;
    daemon.once('close', () => {
      hasEnded = true;
    });
    await until('both have ended', () => hasEnded || isMounted(mountPoint));
    expect(isMounted(mountPoint)).toBe(false);
    return text;
  }

  systemTest([], 'becomes no daemon itself when that happens before it knows its part', async () => {
    const killer = join(base, 'kill-parent.cjs');
    fs.writeFileSync(
      killer,
      // Once: a child that goes on would start a daemon and a child of its own.
      `const parent = process.ppid;
      if (process.env.CKPTFS_UNLOCK_FOR === String(parent)) {
        require('node:fs').writeFileSync(__filename, '');
        process.kill(parent, 'SIGKILL');
        while (process.ppid === parent);
      }`,
    );
    const daemon = mountInForeground(encrypted.keyFile, { NODE_OPTIONS: `--require ${killer}` });
    expect(await outputOf(daemon)).toMatch(/^ckptfs: the process \d+ has ended, for which this one was to unlock /);
    expect(daemon.signalCode).toBe('SIGKILL');
    expect(statusOf(mountPoint)).toBeUndefined();
  });

  systemTest([], 'gives the key to no process when that happens while it waits for the key', async () => {
    const pipe = join(base, 'pipe');
    runProgram('mkfifo', pipe);
    const daemon = mountInForeground(pipe);
    const output = outputOf(daemon);
    // The open ends when the child opens the pipe to read.
    const writer = await fs.promises.open(pipe, 'w');
    const commandLine = (): string => fs.readFileSync(`/proc/${daemon.pid}/cmdline`, 'utf8');
    await until('the command has become the daemon', () => commandLine().includes('/daemon.js'));
    await kill(daemon, 'SIGKILL');
    await writer.writeFile(fs.readFileSync(encrypted.keyFile));
    await writer.close();
    // By how far the daemon had got: the kernel no longer says that its channel is that of this process's parent.
    expect(await output).toMatch(
      /^ckptfs: the (?:daemon ended before it served|channel for the image key is not the d)/,
    );
    expect(statusOf(mountPoint)).toBeUndefined();
  });
});
