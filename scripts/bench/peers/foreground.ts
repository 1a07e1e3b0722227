import { once } from 'node:events';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, run, start } from '../../lib/commands.ts';
import type { Mount } from './peer.ts';

/** Tells whether something is mounted at `path`, without touching the mount, which could wait for ever. */
export function isMounted(path: string): boolean {
  const lines = fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.some((line) => line.split(' ')[4] === path);
}

/**
 * Mounts by a program that stays in the foreground, so that its pid is known and its end can be waited for.
 * @throws Error with its stderr when it ends without having mounted, or takes too long
 */
export async function mountInForeground(command: Command, mountPoint: string): Promise<Mount> {
  const daemon = start(command);
  let errors = '';
  daemon.stderr?.on('data', (data) => {
    errors += String(data);
  });
  daemon.stdout?.resume();
  const closed = once(daemon, 'close');
  const deadline = Date.now() + 20_000;
  while (!isMounted(mountPoint)) {
    if (daemon.exitCode !== null || daemon.signalCode !== null) throw new Error(`${command[0]}: ${errors.trim()}`);
    if (Date.now() > deadline) {
      daemon.kill('SIGKILL');
      throw new Error(`${command[0]} does not mount`);
    }
    await sleep(1);
  }
  return {
    path: mountPoint,
    pid: daemon.pid,
    async unmount() {
      await run('umount', mountPoint);
      await closed;
    },
  };
}
