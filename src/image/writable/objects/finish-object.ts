import { Region } from '../../../base/linux/native.ts';
import { primitives } from '../../../crypto/select.ts';
import { CHUNKS_PER_GROUP, type Geometry, PAGE_SIZE } from '../../../format/geometry.ts';
import type { Header } from '../../../format/header.ts';
import { DIGEST_SIZE } from '../../../format/manifest.ts';
import { encodeObjectHeader } from '../../../format/object-header.ts';
import type { WritableObject } from '../../../stores/writable-store.ts';
import type { GrowingRecords } from '../model/growing-records.ts';
import type { LiveObject } from '../model/object-table.ts';

/** Writes the header page of an object. @throws CkptfsError `io` */
export function writeObjectHeader(file: WritableObject, { cipher, chunkSize, imageId }: Header, id: Buffer): void {
  file.write(new Region(encodeObjectHeader(cipher, chunkSize, imageId, id)), 0, PAGE_SIZE, 0);
}

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
  primitives().sha256(page, 0, PAGE_SIZE, digest, 0);
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
  object.digests = object.digests.subarray(0, Math.ceil(object.chunks / CHUNKS_PER_GROUP) * DIGEST_SIZE);
  object.growing = undefined;
}
