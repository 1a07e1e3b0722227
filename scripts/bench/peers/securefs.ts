import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../lib/commands.ts';
import { mountInForeground } from './foreground.ts';
import { packageVersion } from './install.ts';
import { names } from './names.ts';
import type { MountPeer, PeerKind } from './peer.ts';

export const securefsKind: PeerKind<MountPeer> = {
  name: names.securefs,
  packages: ['securefs'],
  async open(workshop) {
    await run('securefs', 'version');
    const keyFile = join(workshop, 'key');
    writeFileSync(keyFile, randomBytes(32));
    const mountPoint = join(workshop, 'mnt');
    mkdirSync(mountPoint);
    const mount: MountPeer['mount'] = (store, at) =>
      mountInForeground(['securefs', 'mount', '--log', '/dev/null', '--keyfile', keyFile, store, at], at);
    return {
      name: names.securefs,
      version: await packageVersion('securefs'),
      form: names.securefs,
      async store(source, target) {
        mkdirSync(target);
        const derivation = ['--pbkdf', 'pkcs5-pbkdf2-hmac-sha256', '--rounds', '1'];
        await run('securefs', 'create', '--keyfile', keyFile, ...derivation, target);
        const mounted = await mount(target, mountPoint);
        await run('cp', '-r', `${source}/.`, mountPoint);
        await mounted.unmount();
        return target;
      },
      mount,
    };
  },
};
