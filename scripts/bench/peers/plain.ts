import { names } from './names.ts';
import type { MountPeer } from './peer.ts';

/** The files as they are: what no file system on top of them can beat. */
export const plain: MountPeer = {
  name: names.plain,
  version: '',
  store: async (source) => source,
  mount: async (store) => ({ path: store, pid: undefined, unmount: async () => undefined }),
};
