import { printableName } from '../base/printable.ts';

/** What archives are called. */
const SUFFIX = /\.(?:tar|tar\.gz|tgz|tar\.zst|tzst)$/;

/** Returns the end of a name that makes it the name of an archive; undefined for hidden files and all other names. */
export function archiveSuffix(name: Buffer): string | undefined {
  const text = name.toString('latin1');
  return text.startsWith('.') ? undefined : SUFFIX.exec(text)?.[0];
}

/** Returns the name that an image of an archive should have. */
export function imageNameOf(archive: Buffer): Buffer {
  return archive.subarray(0, archive.length - (archiveSuffix(archive)?.length ?? 0));
}

/** Returns the name that an archive gets before it is removed. It is one of an archive, too. */
export function lastNameOf(archive: Buffer, imageId: string): Buffer {
  return Buffer.from(`ckptfs-taken-${imageId}${archiveSuffix(archive) ?? ''}`);
}

/** Returns the path of an archive, for messages. */
export function pathIn(directory: string, archive: Buffer): string {
  return `${directory}/${printableName(archive)}`;
}
