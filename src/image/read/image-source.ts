import type { Counters } from '../../base/counters.ts';
import type { Region } from '../../base/linux/native.ts';
import type { FileInode, Manifest } from '../../format/manifest.ts';

/** A tree of files that is only read, whatever it is stored as. */
export interface ImageSource {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** Names and metadata. They never change. */
  readonly manifest: Pick<Manifest, 'inodes' | 'entries'>;
  /**
   * Makes what reads contents. One thread must have it for itself.
   * @param cacheSize how many bytes it may keep, besides contents
   */
  openReader(cacheSize: number, counters: Counters): SourceReader;
}

/** Reads contents of the files of an {@link ImageSource}. */
export interface SourceReader {
  /**
   * Reads into `out` at `outOffset` and returns the number of bytes: `length`, or fewer if the file ends before.
   * @throws CkptfsError `damaged`, `io`; `out` then holds zeros from `outOffset` on, and nothing of the file
   */
  read(file: FileInode, offset: number, length: number, out: Region, outOffset: number): number;
  /** Wipes and closes everything; the reader must not be used afterwards. */
  close(): void;
}
