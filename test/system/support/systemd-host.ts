import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endOf, firstOutput } from './children.ts';
import { ckptfsProgram } from './mounts.ts';
import type { CommandResult } from './namespace.ts';
import { PATIENCE } from './patience.ts';

const program = fileURLToPath(new URL('systemd-host', import.meta.url));
const scripts = fileURLToPath(new URL('../../../scripts/', import.meta.url));
const units = fileURLToPath(new URL('../../../docs/systemd/', import.meta.url));

/** What the manager has, so that systemctl finds the same units. */
const environment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  SYSTEMD_UNIT_PATH: '/etc/systemd/system:/run/systemd/system:/run/systemd/generator',
};

/**
 * A systemd with a journal, as process 1 of namespaces of its own. It sees the files of this host, with copies of /etc,
 * /usr/local and /usr/sbin in which ckptfs and its units are installed as the documents say.
 */
export interface SystemdHost {
  /** Runs a program on the host to its end; an exit code is the caller's to judge. */
  run(program: string, ...args: readonly string[]): CommandResult;
  /** Runs a program on the host. @returns its output @throws Error with its output where it exits with another code */
  ask(program: string, ...args: readonly string[]): string;
  /** Writes a file there, with its directories. */
  write(path: string, text: string): void;
  /** Ends it, and everything that it started. */
  close(): Promise<void>;
}

/** Starts one. @param directory an empty one, for its own use until it is closed */
export async function startSystemdHost(directory: string): Promise<SystemdHost> {
  const child = spawn(program, [directory], { stdio: ['pipe', 'pipe', 'inherit'] });
  const pid = String(await firstOutput(child)).trim();

  const run = (name: string, ...args: readonly string[]): CommandResult => {
    const result = spawnSync('nsenter', ['--target', pid, '--all', '--wd=/', name, ...args], {
      env: environment,
      encoding: 'utf8',
      maxBuffer: 64 << 20,
      timeout: PATIENCE,
    });
    if (result.error) throw result.error;
    return { status: result.status, stdout: result.stdout, stderr: result.stderr };
  };
  const ask = (name: string, ...args: readonly string[]): string => {
    const { status, stdout, stderr } = run(name, ...args);
    if (status === 0) return stdout;
    const { stdout: journal } = run('journalctl', '--lines=40');
    throw new Error(`${name} ${args.join(' ')} exited with ${status}: ${stdout}${stderr}\n${journal}`);
  };
  const inside = (path: string): string => join(`/proc/${pid}/root`, path);
  const write = (path: string, text: string): void => {
    fs.mkdirSync(join(inside(path), '..'), { recursive: true });
    fs.writeFileSync(inside(path), text, { mode: path.startsWith('/etc/systemd') ? 0o644 : 0o600 });
  };

  for (const [target, path] of [
    [ckptfsProgram, '/usr/local/bin/ckptfs'],
    [join(scripts, 'mount.fuse.ckptfs'), '/usr/sbin/mount.fuse.ckptfs'],
    [join(scripts, 'umount.fuse.ckptfs'), '/usr/sbin/umount.fuse.ckptfs'],
    [process.execPath, '/usr/local/bin/node'],
  ] as const) {
    if (target !== path) ask('ln', '-sf', target, path);
  }
  fs.cpSync(units, inside('/etc/systemd/system'), { recursive: true });
  ask('systemctl', 'daemon-reload');

  return {
    run,
    ask,
    write,
    async close() {
      child.stdin.end();
      await endOf(child);
    },
  };
}
