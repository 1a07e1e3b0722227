import fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Command, run } from '../../lib/commands.ts';
import { isUringEnabled } from '../uring.ts';
import { buildWithout, type Trick } from './altered.ts';
import { names } from './names.ts';
import type { Converter, PeerKind, WritePeer } from './peer.ts';

const project = fileURLToPath(new URL('../../..', import.meta.url));

export interface Ckptfs extends WritePeer, Converter {
  /** Names a peer that mounts these images with further options, or with another `--transport`. */
  variant(name: string, ...options: readonly string[]): Ckptfs;
  /** Names a peer that makes its images with another cipher. */
  withCipher(name: string, cipher: string): Ckptfs;
  /** Names a peer that runs with the Node.js of a directory. */
  withNode(name: string, directory: string): Ckptfs;
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

/** How a peer runs ckptfs. */
interface Setup {
  readonly name: string;
  readonly version: string;
  readonly form: string;
  readonly command: Command;
  /** The directory of its key and its log. */
  readonly workshop: string;
  /** Options of every mount. */
  readonly mounting: readonly string[];
  /** Options of everything that makes an image. */
  readonly making: readonly string[];
}

function ckptfs(setup: Setup): Ckptfs {
  const { name, version, form, command, workshop, mounting, making } = setup;
  const key = ['--key-file', join(workshop, 'key')];
  const mount = async (store: string, mountPoint: string, ...options: readonly string[]): Promise<number> => {
    const daemon = ['--json', '--log-file', join(workshop, 'log')];
    const answer = JSON.parse(await run(...command, 'mount', store, mountPoint, ...key, ...daemon, ...options));
    return Number(answer.pid);
  };
  const peer: Ckptfs = {
    name,
    version,
    form,
    async store(source, target) {
      await run(...peer.encrypt(source, target));
      return target;
    },
    async mount(store, mountPoint) {
      const pid = await mount(store, mountPoint, ...mounting);
      return {
        path: mountPoint,
        pid,
        async unmount() {
          await run('umount', mountPoint);
          await gone(pid);
        },
      };
    },
    async mountNew(store, mountPoint) {
      const pid = await mount(store, mountPoint, '--write', ...making, ...mounting);
      return {
        path: mountPoint,
        pid,
        // umount returns when the image is sealed.
        async unmount() {
          await run(...command, 'umount', mountPoint);
        },
      };
    },
    encrypt: (source, target) => [...command, 'encrypt', source, target, ...key, '--quiet', ...making],
    decrypt: (encrypted, target) => [...command, 'decrypt', encrypted, target, ...key, '--quiet'],
    variant: (other, ...further) =>
      ckptfs({
        ...setup,
        name: other,
        mounting: further.includes('--transport') ? further : [...mounting, ...further],
      }),
    withCipher: (other, cipher) => ckptfs({ ...setup, name: other, form: other, making: ['--cipher', cipher] }),
    withNode: (other, directory) =>
      ckptfs({ ...setup, name: other, command: ['env', `PATH=${directory}:${process.env['PATH']}`, ...command] }),
    without: async (trick) => {
      const altered = await buildWithout(trick, project, workshop);
      return ckptfs({ ...setup, name: `${names.ours} ${trick.without}`, command: [altered] });
    },
  };
  return peer;
}

/** Sets up a peer that runs a ckptfs. @param directory where it is checked out and built, or installed */
async function openIn(
  directory: string,
  name: string,
  workshop: string,
  mounting: readonly string[] = [],
): Promise<Ckptfs> {
  const command: Command = [join(directory, 'bin', 'ckptfs')];
  await run(...command, 'keygen', '-o', join(workshop, 'key'));
  const { version } = JSON.parse(fs.readFileSync(join(directory, 'package.json'), 'utf8'));
  return ckptfs({ name, version: String(version), form: name, command, workshop, mounting, making: [] });
}

export const ckptfsKind: PeerKind<Ckptfs> = {
  name: names.ours,
  packages: [],
  // What a machine has on which FUSE over io_uring is not switched on.
  open: (workshop) => openIn(project, names.ours, workshop, ['--transport', 'kernel']),
};

/** Another ckptfs that the one of this checkout is compared with. */
export function beforeKind(directory: string): PeerKind<Ckptfs> {
  return {
    name: names.before,
    packages: [],
    open: (workshop) => openIn(directory, names.before, workshop),
  };
}

/** Has a peer read a small image that it makes. @throws Error when it does not give the right bytes */
async function tryOut(peer: Ckptfs, workshop: string): Promise<Ckptfs> {
  const [source = '', mountPoint = ''] = ['source', 'mnt'].map((name) => join(workshop, name));
  for (const directory of [source, mountPoint]) fs.mkdirSync(directory);
  fs.writeFileSync(join(source, 'file'), 'content');
  const mount = await peer.mount(await peer.store(source, join(workshop, 'image')), mountPoint);
  try {
    await run('cmp', join(source, 'file'), join(mount.path, 'file'));
    return peer;
  } finally {
    await mount.unmount();
  }
}

/** Our ckptfs with a cipher that not every build has. */
export function cipherKind(ours: Ckptfs, name: string, cipher: string): PeerKind<Ckptfs> {
  return { name, packages: [], open: (workshop) => tryOut(ours.withCipher(name, cipher), workshop) };
}

/** Our ckptfs with FUSE over io_uring, which the administrator of a machine switches on. */
export function uringKind(ours: Ckptfs): PeerKind<Ckptfs> {
  return {
    name: names.oursUring,
    packages: [],
    async open(workshop) {
      if (!isUringEnabled()) throw new Error('FUSE over io_uring is not switched on; --enable-uring does it');
      return tryOut(ours.variant(names.oursUring, '--transport', 'io-uring'), workshop);
    },
  };
}
