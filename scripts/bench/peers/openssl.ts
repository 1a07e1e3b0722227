import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bash, run } from '../../lib/commands.ts';
import { names } from './names.ts';
import type { Converter, PeerKind } from './peer.ts';

/** `openssl enc` does not authenticate, which is an advantage in these tables. */
export const opensslKind: PeerKind<Converter> = {
  name: names.openssl,
  packages: ['openssl'],
  async open(workshop) {
    const [, version = ''] = /^OpenSSL (\S+)/.exec(await run('openssl', 'version')) ?? [];
    const password = join(workshop, 'password');
    writeFileSync(password, randomBytes(32).toString('hex'));
    const cipher = 'openssl enc -aes-256-ctr -pbkdf2 -pass "file:$3"';
    return {
      name: names.openssl,
      version,
      encrypt: (source, target) => bash(`tar -C "$1" -cf - . | ${cipher} >"$2"`, source, target, password),
      decrypt: (encrypted, target) => bash(`${cipher} -d -in "$1" | tar -C "$2" -xf -`, encrypted, target, password),
    };
  },
};
