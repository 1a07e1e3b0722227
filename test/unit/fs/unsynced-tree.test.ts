import { expect, test } from 'vitest';
import { Region } from '../../../src/base/linux/native.ts';
import { UnsyncedTree } from '../../../src/fs/unsynced-tree.ts';
import { WritableTree } from '../../../src/fs/writable-tree.ts';
import type { WritableFileSystem } from '../../../src/fuse/protocol/filesystem.ts';
import { openWritable } from '../../../src/image/writable/open-writable.ts';
import { newImage } from '../image/writable/session.ts';

test('fsync asks the kernel not to ask again, and a close stores what was written', async () => {
  const { store, header, imageKey } = await newImage('aes-256-xts', 4096);
  const image = openWritable(store, header, imageKey);
  const tree: WritableFileSystem = new UnsyncedTree(new WritableTree(image, () => undefined));
  const { node } = tree.create(1, Buffer.from('f'), 0o600, { uid: 0, gid: 0 });
  tree.write(node, 0, 5, new Region(Buffer.from('hello')), 0, false);
  expect(() => tree.sync(node)).toThrow(expect.objectContaining({ code: 'ENOSYS' }));
  const before = store.log.length;
  tree.flush(node);
  expect(store.log.slice(before).some(({ kind }) => kind === 'write')).toBe(true);
  expect(store.log.slice(before).some(({ kind }) => kind === 'sync')).toBe(false);
  image.close();
});
