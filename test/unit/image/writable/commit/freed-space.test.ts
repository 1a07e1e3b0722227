import { expect, test } from 'vitest';
import { Region } from '../../../../../src/base/linux/native.ts';
import { openWritable } from '../../../../../src/image/writable/open-writable.ts';
import { type DiskOperation, diskAfter } from '../../../../support/memory-disk.ts';
import { RecordingStore } from '../../../../support/recording-store.ts';
import { newImage, patternBytes, readAll } from '../session.ts';

const chunkSize = 4096;
const PAGE = 4096;
/** Chunks that one tag page has records of. */
const GROUP = 128;
const owner = { mode: 0o600, uid: 0, gid: 0 };
/** The journal is not renewed, so that no object is removed. */
const limits = { pending: 1 << 20, journal: 1 << 30, freed: 64 * chunkSize };

test('a file that is rewritten for days leaves no tag pages in objects that something old is in', async () => {
  const begun = await newImage('aes-256-xts', chunkSize);
  const image = openWritable(begun.store, begun.header, begun.imageKey, { limits });
  const old = image.create(1, Buffer.from('old'), owner);
  image.write(old, 0, chunkSize, new Region(patternBytes(1, chunkSize)), 0);
  const hot = image.create(1, Buffer.from('hot'), owner);
  const rounds = 400;
  for (let round = 0; round < rounds; round++) {
    image.write(hot, 0, GROUP * chunkSize, new Region(patternBytes(round, GROUP * chunkSize)), 0);
    image.sync();
  }
  const objects = [...begun.store.disk.names].filter(([name]) => name.startsWith('objects/'));
  const stored = objects.reduce((sum, [, file]) => sum + file.usedBytes, 0);
  // Both files, what waits to be given back, and the pages of the object and of the few groups that these are in.
  expect(stored).toBeLessThan((1 + 3 * GROUP) * chunkSize + limits.freed + 8 * PAGE);
  image.seal();
  image.close();
  const again = openWritable(begun.store, begun.header, begun.imageKey);
  expect(readAll(again, old)).toEqual(patternBytes(1, chunkSize));
  expect(readAll(again, hot)).toEqual(patternBytes(rounds - 1, GROUP * chunkSize));
  again.close();
});

test('what a crash brings back has its tag pages, whenever they are given back', async () => {
  const begun = await newImage('aes-256-xts', chunkSize);
  const first = openWritable(begun.store, begun.header, begun.imageKey, { limits });
  const file = first.create(1, Buffer.from('file'), owner);
  first.write(file, 0, 3 * GROUP * chunkSize, new Region(patternBytes(1, 3 * GROUP * chunkSize)), 0);
  first.seal();
  first.close();
  // Now a manifest needs the tag pages.
  const image = openWritable(begun.store, begun.header, begun.imageKey, { limits });
  for (let group = 0; group < 3; group++) {
    const before = begun.store.log.length;
    image.punch(file, group * GROUP * chunkSize, GROUP * chunkSize);
    image.sync();
    image.touch(file);
    image.sync();
    for (let kept = before; kept <= begun.store.log.length; kept++) {
      let seen = 0;
      const upTo = (operation: DiskOperation): DiskOperation | undefined => (seen++ < kept ? operation : undefined);
      const store = new RecordingStore(diskAfter(begun.store.log, upTo));
      const left = openWritable(store, begun.header, begun.imageKey, { limits });
      const found = readAll(left, file);
      const whole = patternBytes(1, 3 * GROUP * chunkSize);
      const now = Buffer.from(whole).fill(0, 0, (group + 1) * GROUP * chunkSize);
      const past = Buffer.from(whole).fill(0, 0, group * GROUP * chunkSize);
      expect([now, past].some((one) => one.equals(found))).toBe(true);
      left.close();
    }
  }
  image.close();
});
