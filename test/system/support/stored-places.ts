import { Region } from '../../../src/base/linux/native.ts';
import { readCompressedSectors } from '../../../src/format/record.ts';
import { geometryOf } from '../../../src/image/objects/image-context.ts';
import type { Image } from '../../../src/image/read/image.ts';

/** Every kind of place that an image's files have, and so where damage can be. */

export type PlaceKind = 'header' | 'manifest' | 'object header' | 'tag page' | 'chunk' | 'hole';

/** Bytes [start, end) of a file of the image. */
export interface Place {
  readonly kind: PlaceKind;
  /** Relative to the image. */
  readonly file: string;
  readonly start: number;
  readonly end: number;
  /** Index and chunk, where it is in an object. A tag page has the first of its chunks. */
  readonly object?: number;
  readonly chunk?: number;
  /** Whether the chunk is compressed: then all of it is read together. */
  readonly isCompressed?: boolean;
}

const PAGE = 4096;

/**
 * All places of an image, so that they cover its files without gaps. Holes are found as docs/format.md §6 says: the
 * sectors after the data of an object that was filled from the front, and after what is stored of a compressed chunk.
 * @param headerSize bytes
 */
export function placesOf({ store, manifest, header, manifestSize }: Image, headerSize: number): Place[] {
  const { chunkSize } = header;
  const places: Place[] = [
    { kind: 'header', file: 'ckptfs.json', start: 0, end: headerSize },
    { kind: 'manifest', file: 'manifest', start: 0, end: manifestSize },
  ];
  const geometry = geometryOf(header);
  const { chunksPerGroup } = geometry;
  const page = new Region(PAGE);
  for (const [object, { id, chunks }] of manifest.objects.entries()) {
    const name = id.toString('hex');
    const common = { file: `objects/${name.slice(0, 2)}/${name}`, object };
    const used = Math.max(
      ...manifest.inodes.flatMap((inode) =>
        inode.type === 'file'
          ? inode.extents.filter((e) => e.object === object).map((e) => e.objectOffset + e.length)
          : [],
      ),
    );
    const file = store.openObject(name);
    let at = 0;
    const add = (kind: PlaceKind, length: number, chunk?: number, isCompressed = false): void => {
      const where = chunk === undefined ? {} : { chunk, isCompressed };
      if (length > 0) places.push({ ...common, kind, start: at, end: at + length, ...where });
      at += length;
    };
    add('object header', PAGE);
    for (let chunk = 0; chunk < chunks; chunk++) {
      if (chunk % chunksPerGroup === 0) {
        add('tag page', PAGE, chunk);
        file.read(page, 0, PAGE, geometry.tagPageOffset(geometry.groupOf(chunk)));
      }
      const compressed = readCompressedSectors(page.view, geometry.recordOffset(chunk)) * PAGE;
      const data = compressed || Math.min(chunkSize, Math.ceil((used - chunk * chunkSize) / PAGE) * PAGE);
      add('chunk', data, chunk, compressed > 0);
      add('hole', chunkSize - data, chunk);
    }
    file.close();
  }
  return places;
}
