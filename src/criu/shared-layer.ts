import type { PieceTable } from './piece-table.ts';

/** How far the format protects a file. */
export type Protection =
  /** All of it was sealed, each part with a tag. */
  | 'sealed'
  /** Pages of memory, encrypted; the page digest covers them together. */
  | 'pages'
  | 'clear'
  /** Its entries are sealed, its contents are not: a ghost file with holes. */
  | 'partly-clear';

/** Where the plain bytes of a file come from. */
export type FileBody =
  /** They are in the memory that threads share, from `at` on. */
  | { readonly kind: 'held'; readonly at: number }
  | { readonly kind: 'pages' }
  | { readonly kind: 'clear' }
  | { readonly kind: 'pieces'; readonly table: PieceTable }
  /** It cannot be read. */
  | { readonly kind: 'none' };

export interface SharedFile {
  readonly name: Uint8Array;
  /** Plain bytes; the stored ones of a file that cannot be read. */
  readonly size: number;
  readonly storedSize: number;
  readonly inode: bigint;
  readonly protection: Protection;
  /** Why it cannot be read, about "it": `the tag of entry 3 does not match`. */
  readonly problem?: string;
  readonly body: FileBody;
}

/**
 * An open directory as threads share it. A structured clone keeps it: the memory is shared, everything else is small.
 * The secrets are not in it.
 */
export interface SharedLayer {
  /** Decrypted images, on locked pages (`LockedPages`). */
  readonly memory: SharedArrayBuffer;
  readonly isLocked: boolean;
  readonly heldBytes: number;
  /** The tweak of pages of memory. */
  readonly iv: Uint8Array;
  readonly digest: Uint8Array | undefined;
  /** Ascending by name, byte by byte. */
  readonly files: readonly SharedFile[];
}
