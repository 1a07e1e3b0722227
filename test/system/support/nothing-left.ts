import fs from 'node:fs';
import { resolve } from 'node:path';

/** Fails the run when it leaves a mount, a loop device or a process of ours, or a file in the current directory. */

function mounts(): string[] {
  const lines = fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const ours = lines.filter(
    (line) => / - fuse(\.\S+)? /.test(line) || / - overlay ckptfs /.test(line) || line.includes('ckptfs'),
  );
  return ours.map((line) => `mount ${line.split(' ')[4]}`);
}

/**
 * Returns the loop devices on files that can be seen here, and on deleted ones. The machine's other devices are of
 * tests that run beside these, each with a /tmp of its own.
 */
function loops(): string[] {
  return fs.readdirSync('/sys/block').flatMap((name) => {
    try {
      const file = fs.readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8').trim();
      return file.endsWith(' (deleted)') || fs.existsSync(file) ? [`loop device ${name} on ${file}`] : [];
    } catch {
      return [];
    }
  });
}

function processes(): string[] {
  const pids = fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      const command = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      return /\/(daemon|fetcher|mount-trial)\.js|ckptfs-fixture/.test(command) ? [`process ${pid}: ${command}`] : [];
    } catch {
      return [];
    }
  });
}

function files(): string[] {
  return fs.readdirSync('.').map((name) => `file ${resolve(name)}`);
}

function everything(): string[] {
  return [...mounts(), ...loops(), ...processes(), ...files()];
}

export default function setup(): () => Promise<void> {
  const before = new Set(everything());
  return async () => {
    let left: string[] = [];
    for (let attempt = 0; attempt < 300; attempt++) {
      left = everything().filter((thing) => !before.has(thing));
      if (left.length === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    process.exitCode = 1;
    throw new Error(`the tests left behind:\n${left.join('\n')}`);
  };
}
