import fs from 'node:fs';
import { names } from './names.ts';
import type { WritePeer } from './peer.ts';

/** The files as they are: what no file system on top of them can beat. */
export const plain: WritePeer = {
  name: names.plain,
  version: '',
  form: names.plain,
  store: async (source) => source,
  mount: async (store) => ({ path: store, pid: undefined, unmount: async () => undefined }),
  mountNew(store, mountPoint) {
    fs.mkdirSync(store);
    return plain.mount(store, mountPoint);
  },
};
