import { join } from 'node:path';
import { bash, run } from '../../lib/commands.ts';
import { names } from './names.ts';
import type { Converter, PeerKind } from './peer.ts';

export const ageKind: PeerKind<Converter> = {
  name: names.age,
  packages: ['age'],
  async open(workshop) {
    const version = (await run('age', '--version')).trim();
    const identity = join(workshop, 'identity');
    await run('age-keygen', '-o', identity);
    const recipient = (await run('age-keygen', '-y', identity)).trim();
    return {
      name: names.age,
      version,
      encrypt: (source, target) => bash('tar -C "$1" -cf - . | age -r "$3" >"$2"', source, target, recipient),
      decrypt: (encrypted, target) => bash('age -d -i "$3" "$1" | tar -C "$2" -xf -', encrypted, target, identity),
    };
  },
};
