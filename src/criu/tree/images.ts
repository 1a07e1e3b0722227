import { CkptfsError } from '../../base/errors.ts';
import type { Directory } from '../../base/linux/directory.ts';
import type { Region } from '../../base/linux/native.ts';
import { wipe } from '../../base/wipe.ts';
import { type Allowance, type CheckedPages, CriuLayer } from '../layer.ts';
import { listFiles, openListed, pathIn, type StoredEntry } from '../layer-directory.ts';
import type { SharedLayer } from '../shared-layer.ts';

/** The files of one directory, as the threads that read them share them: encrypted by CRIU, or as they are. */
export type SharedImages =
  | { readonly layer: SharedLayer }
  | { readonly clear: readonly (Omit<StoredEntry, 'name'> & { readonly name: Uint8Array })[] };

/** A regular file of a directory. */
export interface ImageFile {
  readonly name: Buffer;
  /** In clear; as it is stored where `problem` is set. */
  readonly size: number;
  /** Why it cannot be read. */
  readonly problem?: string | undefined;
}

/** Reads the files of one directory. One thread must have it for itself. */
export interface ImagesReader {
  /**
   * @param file its index among the files of the directory @param length at most what it has from there
   * @throws CkptfsError `damaged`, `io`
   */
  read(file: number, offset: number, length: number, out: Region, outOffset: number): number;
  close(): void;
}

/**
 * Opens the files of a directory.
 * @param secrets undefined for a directory that is not encrypted
 * @throws CkptfsError `damaged`, `io`
 */
export function openImages(
  directory: Directory,
  secrets: Uint8Array | undefined,
  allowance: Allowance,
): { readonly files: readonly ImageFile[]; readonly shared: SharedImages } {
  if (secrets === undefined) {
    const clear = listFiles(directory);
    return { files: clear, shared: { clear } };
  }
  const layer = CriuLayer.open(directory, secrets, allowance);
  try {
    return { files: layer.files, shared: { layer: layer.shared } };
  } finally {
    layer.close();
  }
}

/**
 * Reads what {@link openImages} has opened, in any thread.
 * @param checked see `CriuLayer.attach`
 * @throws CkptfsError `damaged`, `io`
 */
export function attachImages(
  directory: Directory,
  secrets: Uint8Array | undefined,
  shared: SharedImages,
  checked?: CheckedPages,
): ImagesReader {
  if ('clear' in shared) return new ClearImages(directory, shared.clear);
  return CriuLayer.attach(directory, secrets ?? new Uint8Array(0), shared.layer, checked);
}

/** Reads files that are not encrypted. The one that was read last is held open. */
class ClearImages implements ImagesReader {
  readonly #directory: Directory;
  readonly #files: readonly (Omit<StoredEntry, 'name'> & { readonly name: Uint8Array })[];
  #open: { readonly file: number; readonly object: ReturnType<typeof openListed> } | undefined;

  constructor(directory: Directory, files: readonly (Omit<StoredEntry, 'name'> & { readonly name: Uint8Array })[]) {
    this.#directory = directory.reopen();
    this.#files = files;
  }

  read(file: number, offset: number, length: number, out: Region, outOffset: number): number {
    try {
      const object = this.#object(file);
      const count = object.read(out, outOffset, length, offset);
      if (count === length) return count;
      const path = pathIn(this.#directory, this.#files[file]?.name ?? Buffer.alloc(0));
      throw new CkptfsError('damaged', `${path}: it ends early`, { path });
    } catch (error) {
      wipe(out.bytes, outOffset, outOffset + length);
      throw error;
    }
  }

  close(): void {
    this.#open?.object.close();
    this.#open = undefined;
    this.#directory.close();
  }

  #object(file: number): ReturnType<typeof openListed> {
    if (this.#open?.file === file) return this.#open.object;
    const entry = this.#files[file];
    if (entry === undefined) throw new RangeError(`no file ${file}`);
    this.#open?.object.close();
    this.#open = undefined;
    const object = openListed(this.#directory, { ...entry, name: Buffer.from(entry.name) });
    this.#open = { file, object };
    return object;
  }
}
