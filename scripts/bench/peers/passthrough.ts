import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { bash, run } from '../../lib/commands.ts';
import { mountInForeground } from './foreground.ts';
import { names } from './names.ts';
import type { MountPeer, PeerKind, WritePeer } from './peer.ts';

const examples = '/usr/share/doc/libfuse3-dev/examples';

/** libfuse's own example of a pass-through in C, at its defaults: what FUSE costs without any encryption. */
export const passthroughKind: PeerKind<WritePeer> = {
  name: names.passthrough,
  packages: ['libfuse3-dev', 'pkgconf', 'gcc', 'libc6-dev'],
  async open(workshop) {
    // Some distributions compress what they ship as documentation.
    const unpack =
      'cd "$1"; for f in passthrough_ll.c passthrough_helpers.h; do zcat -f "$2/$f" 2>/dev/null >$f || zcat "$2/$f.gz" >$f; done';
    await run(
      ...bash(
        `${unpack}; gcc -O2 -o passthrough_ll passthrough_ll.c $(pkg-config fuse3 --cflags --libs)`,
        workshop,
        examples,
      ),
    );
    const program = join(workshop, 'passthrough_ll');
    const mount: MountPeer['mount'] = (store, mountPoint) =>
      mountInForeground([program, '-f', '-o', `source=${store}`, mountPoint], mountPoint);
    return {
      name: names.passthrough,
      version: `libfuse ${(await run('pkg-config', '--modversion', 'fuse3')).trim()}`,
      form: names.passthrough,
      store: async (source) => source,
      mount,
      mountNew(store, mountPoint) {
        mkdirSync(store);
        return mount(store, mountPoint);
      },
    };
  },
};
