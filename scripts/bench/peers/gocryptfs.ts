import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bash, type Command, run } from '../../lib/commands.ts';
import { mountInForeground } from './foreground.ts';
import { names } from './names.ts';
import type { Converter, PeerKind, WritePeer } from './peer.ts';

/** The least work for deriving a key from a password: this password is random, and needs no more. */
const lightest = ['-scryptn', '10'];

const foreground: Command = ['gocryptfs', '-fg', '-q'];

export const gocryptfsKind: PeerKind<WritePeer & Converter> = {
  name: names.gocryptfs,
  packages: ['gocryptfs'],
  async open(workshop) {
    const [, version = ''] = /^gocryptfs v?([^;\s]+)/.exec(await run('gocryptfs', '-version')) ?? [];
    const password = join(workshop, 'password');
    writeFileSync(password, `${randomBytes(32).toString('hex')}\n`);
    const mountPoint = join(workshop, 'mnt');
    mkdirSync(mountPoint);
    const peer: WritePeer & Converter = {
      name: names.gocryptfs,
      version,
      form: names.gocryptfs,
      async store(source, target) {
        await run(...peer.encrypt(source, target));
        return target;
      },
      mount: (store, at) => mountInForeground([...foreground, '-ro', '-passfile', password, store, at], at),
      async mountNew(store, at) {
        mkdirSync(store);
        await run('gocryptfs', '-q', '-init', ...lightest, '-passfile', password, store);
        return mountInForeground([...foreground, '-passfile', password, store, at], at);
      },
      encrypt: (source, target) =>
        bash(
          `mkdir "$2"; gocryptfs -q -init ${lightest.join(' ')} -passfile "$3" "$2" 2>/dev/null
           gocryptfs -q -passfile "$3" "$2" "$4" 2>/dev/null; cp -a "$1/." "$4"; umount "$4"`,
          source,
          target,
          password,
          mountPoint,
        ),
      decrypt: (encrypted, target) =>
        bash(
          'gocryptfs -q -ro -passfile "$3" "$1" "$4" 2>/dev/null; cp -a "$4/." "$2"; umount "$4"',
          encrypted,
          target,
          password,
          mountPoint,
        ),
    };
    return peer;
  },
};
