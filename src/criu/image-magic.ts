import { MalformedError } from '../base/bytes.ts';
import type { Region } from '../base/linux/native.ts';

/** Numbers at the start of image files (criu/include/magic.h). */
export const MAGIC = {
  /** In front of the magic of its own that an image has. */
  common: 0x54564319,
  /** In place of {@link MAGIC.common} for files about the work of CRIU itself. */
  service: 0x55105940,
  inventory: 0x58313116,
  cipher: 0x50034653,
} as const;

/**
 * Returns how many bytes the magics of an image take: one or two numbers.
 * @throws MalformedError when it begins otherwise, or is cut within them
 */
export function magicSize(image: Region): number {
  if (image.length < 4) throw new MalformedError('it ends within its magic');
  const first = image.view.getUint32(0, true);
  if (first === MAGIC.inventory) return 4;
  if (first !== MAGIC.common && first !== MAGIC.service) throw new MalformedError('it has no magic of an image');
  if (image.length < 8) throw new MalformedError('it ends within its magic');
  return 8;
}

/** Tells whether a file begins with the number that images of CRIU and its plugins begin with. */
export function startsWithMagic(head: Region): boolean {
  return head.view.getUint32(0, true) === MAGIC.common;
}
