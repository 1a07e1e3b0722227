import { expect, test } from 'vitest';
import { imageKind, pagesId, sharedMemoryId } from '../../../src/criu/image-kind.ts';

test.each([
  ['core-20.img', 'entries'],
  ['inventory.img', 'entries'],
  ['netns-10.img', 'entries'],
  ['netns-ct-10.img', 'netlink-messages'],
  ['signal-s-7.img', 'entries'],
  ['binfmt-misc.img', 'entries'],
  ['binfmt-misc-4.img', 'entries'],
  ['irmap-cache', 'entries'],
  ['pagemap-20.img', 'pagemap'],
  ['pagemap-shmem-381.img', 'pagemap'],
  ['pagemap-secretmem-1.img', 'pagemap'],
  ['pages-1.img', 'pages'],
  ['pages-x.img', 'unknown'],
  ['pages-9999999999999999999.img', 'unknown'],
  ['pages-1.img.bak', 'clear'],
  ['ghost-file-1a.img', 'ghost'],
  ['fifo-data.img', 'pipe-data'],
  ['fifo.img', 'entries'],
  ['tcp-stream-2bc4e.img', 'tcp-stream'],
  ['tmpfs-dev-62.tar.gz.img', 'padded-records'],
  ['ip6tables-10.img', 'padded-records'],
  ['route6-10.img', 'clear'],
  ['stats-dump', 'clear'],
  ['parent', 'clear'],
  ['dump.log', 'clear'],
  ['amdgpu-kfd-1.img', 'unknown'],
  ['.img', 'unknown'],
])('%s: %s', (name, kind) => {
  expect(imageKind(name)).toBe(kind);
});

test('numbers in names', () => {
  expect(pagesId('pages-65537.img')).toBe(65_537);
  expect(pagesId('pages-9999999999999999999.img')).toBeUndefined();
  expect(pagesId('pagemap-1.img')).toBeUndefined();
  expect(sharedMemoryId('pagemap-shmem-18446744073709551615.img')).toBe(2n ** 64n - 1n);
  expect(sharedMemoryId('pagemap-1.img')).toBeUndefined();
});
