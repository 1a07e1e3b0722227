import { CkptfsError } from '../../base/errors.ts';
import type { Region } from '../../base/linux/native.ts';
import { Secret } from '../../crypto/secret.ts';
import { SECTOR_SIZE } from '../../format/geometry.ts';
import { openStore } from '../../stores/open-store.ts';
import type { StorePlace } from '../../stores/store.ts';
import { type Segment, usedSectors } from '../create/plan.ts';
import {
  type GroupSetup,
  groupSealer,
  type SealResult,
  type SealTask,
  type SegmentSource,
} from '../create/seal-worker.ts';
import { type Image, openImage, readHeader } from '../read/image.ts';
import { ImageReader } from '../read/image-reader.ts';
import { ImageTree } from '../read/tree.ts';
import type { JobWorker } from '../workers/worker-messages.ts';
import { SealedGroups } from './sealed-groups.ts';

/** What a worker needs that seals anew what another image holds. */
export interface ResealSetup extends GroupSetup {
  readonly job: 'reseal';
  readonly from: {
    readonly store: StorePlace;
    readonly imageKey: SharedArrayBuffer;
    /** See {@link openImage}. */
    readonly manifestDigest: Uint8Array;
  };
  /** Whether a part may have been sealed before an interruption. */
  readonly isResumed: boolean;
}

/** Seals what is in files of another image. Groups that were sealed before are only authenticated. */
export function resealWorker(setup: ResealSetup): JobWorker {
  const groups = groupSealer(setup, new ImageSource(setup.from));
  const sealed = setup.isResumed ? new SealedGroups(setup) : undefined;
  return {
    run: (task): SealResult => sealed?.digest(task as SealTask) ?? (groups.run(task) as SealResult),
    close: () => {
      sealed?.close();
      groups.close();
    },
  };
}

class ImageSource implements SegmentSource {
  readonly #image: Image;
  readonly #reader: ImageReader;

  constructor({ store: place, imageKey, manifestDigest }: ResealSetup['from']) {
    const store = openStore(place);
    this.#image = openImage(store, readHeader(store), Secret.fromShared(imageKey), manifestDigest);
    this.#reader = new ImageReader(this.#image);
  }

  read(segments: readonly Segment[], to: Region): number {
    let end = 0;
    for (const { inode, fileOffset, objectOffset, length } of segments) {
      end = objectOffset + length;
      this.#read(inode, fileOffset, length, to, objectOffset);
    }
    to.bytes.fill(0, end, usedSectors(end) * SECTOR_SIZE); // not secret: past the end
    return end;
  }

  close(): void {
    this.#reader.close();
    this.#image.store.close();
  }

  #read(inode: number, offset: number, length: number, to: Region, toOffset: number): void {
    const file = this.#image.manifest.inodes[inode];
    if (file?.type !== 'file') throw new CkptfsError('internal', `inode ${inode + 1} is not a file`);
    try {
      this.#reader.read(file, offset, length, to, toOffset);
    } catch (cause) {
      if (!(cause instanceof CkptfsError) || cause.code !== 'damaged') throw cause;
      const path = new ImageTree(this.#image.manifest).pathOf(inode + 1).toString();
      throw new CkptfsError('damaged', `${path}: ${cause.message}`, { path, cause });
    }
  }
}
