import fs from 'node:fs';

/** Fails the run when it leaves a mount, a loop device or a process of ours behind. */

function mounts(): string[] {
  const lines = fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const ours = lines.filter(
    (line) => / - fuse(\.\S+)? /.test(line) || / - overlay ckptfs /.test(line) || line.includes('ckptfs'),
  );
  return ours.map((line) => `mount ${line.split(' ')[4]}`);
}

function loops(): string[] {
  const devices = fs.readdirSync('/sys/block').filter((name) => name.startsWith('loop'));
  return devices
    .filter((name) => fs.existsSync(`/sys/block/${name}/loop/backing_file`))
    .map((name) => `loop device ${name}`);
}

function processes(): string[] {
  const pids = fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name));
  return pids.flatMap((pid) => {
    try {
      const command = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      return /(daemon|mount-trial)-main\.js|ckptfs-fixture/.test(command) ? [`process ${pid}: ${command}`] : [];
    } catch {
      return [];
    }
  });
}

function everything(): string[] {
  return [...mounts(), ...loops(), ...processes()];
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
