import type { Transferred } from '../../remote/push.ts';
import { countOf, formatBytes } from './quantities.ts';

/** Says what a push or a pull moved, in one line. */
export function transferText({ imageId, size, parts, movedParts, movedBytes }: Transferred, moved: string): string {
  const all = `${formatBytes(size)} in ${countOf(parts, 'part')}`;
  const some =
    movedParts === 0 ? `nothing was ${moved}` : `${moved} ${formatBytes(movedBytes)} in ${countOf(movedParts, 'part')}`;
  return `image ${imageId}: ${all}; ${movedParts === 0 ? 'all was there' : some}\n`;
}
