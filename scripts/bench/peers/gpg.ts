import { randomBytes } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bash, run } from '../../lib/commands.ts';
import { names } from './names.ts';
import type { Converter, PeerKind } from './peer.ts';

export const gpgKind: PeerKind<Converter> = {
  name: names.gpg,
  packages: ['gpg', 'gpg-agent'],
  async open(workshop) {
    const [, version = ''] = /^gpg \(GnuPG\) (\S+)/.exec(await run('gpg', '--version')) ?? [];
    chmodSync(workshop, 0o700);
    const password = join(workshop, 'password');
    writeFileSync(password, randomBytes(32).toString('hex'));
    const gpg = 'gpg --homedir "$3" --quiet --batch --pinentry-mode loopback --passphrase-file "$3/password"';
    // The least work on the password, and no attempt to compress what does not compress.
    const seal = `${gpg} --symmetric --cipher-algo AES256 --compress-algo none --s2k-count 1024`;
    return {
      name: names.gpg,
      version,
      encrypt: (source, target) => bash(`tar -C "$1" -cf - . | ${seal} >"$2"`, source, target, workshop),
      decrypt: (encrypted, target) => bash(`${gpg} -d "$1" | tar -C "$2" -xf -`, encrypted, target, workshop),
    };
  },
};
