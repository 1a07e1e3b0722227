import { Region } from '../../../base/linux/native.ts';
import { type Geometry, PAGE_SIZE } from '../../../format/geometry.ts';
import { DIGEST_SIZE } from '../../../format/manifest.ts';
import type { WritableObject } from '../../../stores/writable-store.ts';
import { digestTagPage } from '../../objects/object-sealer.ts';
import type { GrowingRecords } from '../model/growing-records.ts';
import type { LiveObject } from '../model/object-table.ts';

/** Writes the tag page of a group as it is now, and puts its digest into the object's. @throws CkptfsError `io` */
export function writeTagPage(
  object: LiveObject,
  growing: GrowingRecords,
  group: number,
  page: Region,
  file: WritableObject,
  geometry: Geometry,
): void {
  file.write(page, 0, PAGE_SIZE, geometry.tagPageOffset(group));
  const digest = new Region(DIGEST_SIZE);
  digestTagPage(page, 0, digest);
  object.digests.set(digest.bytes, group * DIGEST_SIZE);
  growing.setWritten(group);
}

/**
 * Finishes an object, so that a manifest can name it: writes its tag pages and gives it its exact size. It takes no
 * more chunks then, and is not durable yet.
 * @throws CkptfsError `io`: it may be tried again
 */
export function finishObject(object: LiveObject, file: WritableObject, geometry: Geometry): void {
  const { growing } = object;
  if (growing === undefined) return;
  for (const [group, page] of growing.unwritten()) writeTagPage(object, growing, group, page, file, geometry);
  file.truncate(geometry.objectSize(object.chunks));
  object.stopGrowing(geometry);
}
