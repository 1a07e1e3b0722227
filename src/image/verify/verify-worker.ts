import { Counters } from '../../base/counters.ts';
import { Region } from '../../base/linux/native.ts';
import { wipe } from '../../base/wipe.ts';
import { Secret } from '../../crypto/secret.ts';
import { openStore } from '../../stores/open-store.ts';
import type { StorePlace } from '../../stores/store.ts';
import { openImage, readHeader } from '../read/image.ts';
import { type ChunkFault, ObjectReader } from '../read/object-reader.ts';
import type { JobWorker } from '../workers/worker-messages.ts';

export interface VerifySetup {
  readonly job: 'verify';
  readonly store: StorePlace;
  readonly imageKey: SharedArrayBuffer;
  /** See {@link openImage}. */
  readonly manifestDigest: Uint8Array;
}

/** One group of one object. */
export interface VerifyTask {
  readonly object: number;
  readonly group: number;
  /** See {@link Coverage.ofGroup}. */
  readonly covered: Uint8Array;
}

export type VerifyResult = readonly ChunkFault[];

export function verifyWorker(setup: VerifySetup): JobWorker {
  const store = openStore(setup.store);
  const image = openImage(store, readHeader(store), Secret.fromShared(setup.imageKey), setup.manifestDigest);
  const reader = new ObjectReader(image, new Counters());
  const data = new Region(reader.geometry.groupSize);
  return {
    run: (task): VerifyResult => {
      const { object, group, covered } = task as VerifyTask;
      return reader.faults(object, group, data, covered);
    },
    close: () => {
      wipe(data.bytes);
      reader.close();
      store.close();
    },
  };
}
