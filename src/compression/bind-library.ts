import { CkptfsError } from '../base/errors.ts';
import { bind, openLibrary } from '../base/linux/native.ts';
import type { CompressionName } from '../format/compressions.ts';

/** The names by which the dynamic linker finds the libraries, the same in every distribution. */
const libraries: Readonly<Record<CompressionName, string>> = { zstd: 'libzstd.so.1', lz4: 'liblz4.so.1' };

const features = { zstd: 'libzstd', lz4: 'liblz4' } as const;

/**
 * Binds functions of a library: as Node has it in itself (Zstandard, from 22.15 on), otherwise as the host has it. All
 * of them are of the same one, as two versions of a library do not know each other's contexts.
 * @throws CkptfsError `missing-feature`
 */
export function bindLibrary<T>(name: CompressionName, bindAll: (bound: typeof bind) => T): T {
  try {
    return bindAll(bind);
  } catch {
    // Node does not have it, or not all of it.
  }
  try {
    return bindAll(openLibrary(libraries[name]));
  } catch (cause) {
    throw new CkptfsError('missing-feature', `compression by ${name} needs the library ${libraries[name]}`, {
      data: { feature: features[name] },
      cause,
    });
  }
}
