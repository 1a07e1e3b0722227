import { expect } from 'vitest';
import { Counters } from '../../../../src/base/counters.ts';
import { Region } from '../../../../src/base/linux/native.ts';
import { openImage } from '../../../../src/image/read/image.ts';
import { ObjectReader } from '../../../../src/image/read/object-reader.ts';
import { Coverage } from '../../../../src/image/verify/coverage.ts';
import { recoverImage, sealImage } from '../../../../src/image/writable/close-unsealed.ts';
import { openWritable } from '../../../../src/image/writable/open-writable.ts';
import type { MemoryDisk } from '../../../support/memory-disk.ts';
import { RecordingStore } from '../../../support/recording-store.ts';
import { type BegunImage, describeImage } from './session.ts';

/** Recovers what a crash left on a disk, seals it, checks that it is whole, and describes what it holds. */
export function recovered({ header, imageKey }: BegunImage, disk: MemoryDisk): string {
  const store = new RecordingStore(disk);
  recoverImage(store, header, imageKey);
  const image = openWritable(store, header, imageKey, { poolSize: 1 << 18 });
  const text = describeImage(image);
  image.close();
  sealImage(store, header, imageKey);
  checkSealed(store, { header, imageKey });
  return text;
}

/**
 * Reads every chunk of a sealed image. Throws when one is damaged, or the store has files that the image does not name.
 */
export function checkSealed(
  store: RecordingStore,
  { header, imageKey }: Pick<BegunImage, 'header' | 'imageKey'>,
): void {
  const image = openImage(store, header, imageKey);
  const reader = new ObjectReader(image, new Counters());
  const coverage = new Coverage(image.manifest, reader.geometry);
  const room = new Region(reader.geometry.groupSize);
  for (const [object, { chunks }] of image.manifest.objects.entries()) {
    for (let group = 0; group < reader.geometry.groupsFor(chunks); group++) {
      const faults = reader.faults(object, group, room, coverage.ofGroup(object, group));
      if (faults.length > 0) throw new Error(`sealed with faults: ${JSON.stringify(faults)}`);
    }
  }
  reader.close();
  const ids = image.manifest.objects.map(({ id }) => `objects/${id.toString('hex')}`);
  expect([...store.disk.names.keys()].sort()).toEqual(['ckptfs.json', 'manifest', ...ids].sort());
}
