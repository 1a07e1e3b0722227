import fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { run } from '../../lib/commands.ts';
import { buildWithout, type Trick } from './altered.ts';
import { names } from './names.ts';
import type { Converter, PeerKind, WritePeer } from './peer.ts';

const project = fileURLToPath(new URL('../../..', import.meta.url));
const built = join(project, 'bin', 'ckptfs');

export interface Ckptfs extends WritePeer, Converter {
  /** Names a peer that mounts these images with further options. */
  variant(name: string, ...options: readonly string[]): Ckptfs;
  /** Makes the same of a build without a trick. Rejects with an Error when the build fails. */
  without(trick: Trick): Promise<Ckptfs>;
}

/** Tells whether a process runs; a zombie, whose parent has not waited for it yet, does not. */
function runs(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Waits for the end of a process. Rejects with an Error when it does not end within 20 seconds. */
async function gone(pid: number): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (runs(pid)) {
    if (Date.now() > deadline) throw new Error('the daemon stays after the unmount');
    await sleep(1);
  }
}

function ckptfs(name: string, version: string, workshop: string, options: readonly string[], program = built): Ckptfs {
  const key = ['--key-file', join(workshop, 'key')];
  const daemon = ['--json', '--log-file', join(workshop, 'log'), ...options];
  const peer: Ckptfs = {
    name,
    version,
    async store(source, target) {
      await run(...peer.encrypt(source, target));
      return target;
    },
    async mount(store, mountPoint) {
      const answer = JSON.parse(await run(program, 'mount', store, mountPoint, ...key, ...daemon));
      return {
        path: mountPoint,
        pid: Number(answer.pid),
        async unmount() {
          await run('umount', mountPoint);
          await gone(Number(answer.pid));
        },
      };
    },
    async mountNew(store, mountPoint) {
      const answer = JSON.parse(await run(program, 'mount', '--write', store, mountPoint, ...key, ...daemon));
      return {
        path: mountPoint,
        pid: Number(answer.pid),
        // umount returns when the image is sealed.
        async unmount() {
          await run(program, 'umount', mountPoint);
        },
      };
    },
    encrypt: (source, target) => [program, 'encrypt', source, target, ...key, '--quiet'],
    decrypt: (encrypted, target) => [program, 'decrypt', encrypted, target, ...key, '--quiet'],
    variant: (other, ...further) => ckptfs(other, version, workshop, [...options, ...further], program),
    without: async (trick) => {
      const altered = await buildWithout(trick, project, workshop);
      return ckptfs(`${names.ours} ${trick.without}`, version, workshop, options, altered);
    },
  };
  return peer;
}

export const ckptfsKind: PeerKind<Ckptfs> = {
  name: names.ours,
  packages: [],
  async open(workshop) {
    await run(built, 'keygen', '-o', join(workshop, 'key'));
    const { version } = JSON.parse(fs.readFileSync(join(project, 'package.json'), 'utf8'));
    return ckptfs(names.ours, String(version), workshop, []);
  },
};
