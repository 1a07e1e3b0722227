import type { Cipher } from './encode.ts';
import type { NamedSuite } from './seal.ts';

/** The files of test/vectors/, one case each. Short byte strings are hexadecimal; longer ones are {@link Packed}. */

/** Pieces in sequence: hexadecimal, UTF-8 text, or a run of zero bytes. */
export type Packed = readonly (string | { readonly text: string } | { readonly zeros: number })[];

/** Where reading goes, in this order, and so where it must fail. */
export const stages = [
  'header',
  'slot',
  'mac',
  'signatures',
  'manifest',
  'journal',
  'object',
  'tag page',
  'chunk',
  'ok',
] as const;
export type Stage = (typeof stages)[number];

/** `code` as in src/base/errors.ts; `message` is part of what ckptfs says, so that a case fails for its own reason. */
export interface Refused {
  readonly code: string;
  readonly message: string;
}

interface Case<K extends string, E> {
  readonly description: string;
  readonly kind: K;
  readonly stage: Stage;
  readonly expected: E | Refused;
}

/** Every key derived from an image key (format.md §3). */
export interface KeysVector extends Case<'keys', Readonly<Record<string, string>>> {
  readonly imageKey: string;
  readonly imageId: string;
  readonly objectId: string;
  readonly journalId: string;
}

/** One key slot: its JSON text, in any white space. */
export interface SlotVector extends Case<'slot', { readonly imageKey: string }> {
  readonly wrappingKey: string;
  readonly imageId: string;
  readonly input: Packed;
}

export interface HeaderFacts {
  readonly imageKey: string;
  readonly imageId: string;
  readonly suite?: NamedSuite;
  readonly cipher: string;
  readonly chunkSize: number;
  readonly compression?: string;
  readonly slots: number;
}

/** The file `ckptfs.json`. */
export interface HeaderVector extends Case<'header', HeaderFacts> {
  readonly wrappingKey: string;
  readonly input: Packed;
}

/** The plaintext of a manifest. Byte strings in `expected` are hexadecimal. */
export interface ManifestPlaintextVector extends Case<'manifest-plaintext', Readonly<Record<string, unknown>>> {
  readonly chunkSize: number;
  readonly input: Packed;
}

/** The file `manifest`. */
export interface ManifestVector extends Case<'manifest', { readonly epoch: number; readonly inodes: number }> {
  readonly imageKey: string;
  readonly imageId: string;
  readonly suite?: NamedSuite;
  readonly cipher: Cipher;
  readonly chunkSize: number;
  readonly input: Packed;
}

/** The plaintext of a journal's frame. Byte strings in `expected` are hexadecimal. */
export interface JournalEntriesVector extends Case<'journal-entries', { readonly entries: readonly unknown[] }> {
  readonly input: Packed;
}

/** A journal's header and one frame of it. `expected.data` is the frame's plaintext. */
export interface JournalFrameVector extends Case<'journal-frame', { readonly data: Packed }> {
  readonly imageKey: string;
  readonly imageId: string;
  readonly suite?: NamedSuite;
  readonly header: string;
  /** The number of the frame, from 0. */
  readonly number: number;
  readonly input: Packed;
}

interface ObjectGiven {
  readonly imageKey: string;
  readonly imageId: string;
  readonly objectId: string;
  readonly suite?: NamedSuite;
  readonly cipher: Cipher;
  readonly chunkSize: number;
  readonly compression?: 'zstd' | 'lz4';
  readonly input: Packed;
}

/** A whole object file, and what the manifest says of it. `expected.data` is its data space. */
export interface ObjectVector extends Case<'object', { readonly data: Packed }>, ObjectGiven {
  readonly chunks: number;
  /** SHA-256 of each tag page. */
  readonly digests: readonly string[];
}

/** One chunk as it is stored, and its record. `expected.data` is its plaintext, zeros in holes. */
export interface ChunkVector extends Case<'chunk', { readonly data: Packed }>, ObjectGiven {
  readonly index: number;
  readonly record: string;
}

/** The file `signatures`, what it is beside, and the only signer who is trusted. */
export interface SignaturesVector
  extends Case<'signatures', { readonly epoch: number; readonly algorithm: string; readonly signer: string }> {
  readonly imageId: string;
  readonly cipher: Cipher;
  readonly chunkSize: number;
  readonly manifest: Packed;
  /** A JWK. */
  readonly signer: Readonly<Record<string, string>>;
  readonly input: Packed;
}

export type Vector =
  | SignaturesVector
  | KeysVector
  | SlotVector
  | HeaderVector
  | ManifestPlaintextVector
  | ManifestVector
  | JournalEntriesVector
  | JournalFrameVector
  | ObjectVector
  | ChunkVector;

/** File name without `.json`, and what goes into it. */
export type NamedVectors = Readonly<Record<string, Vector>>;

/** Cuts runs of zeros out of bytes, so that a file stays readable. */
export function pack(bytes: Uint8Array): Packed {
  const buffer = Buffer.from(bytes);
  const pieces: (string | { zeros: number })[] = [];
  let start = 0;
  for (let at = 0; at < buffer.length; ) {
    let end = at;
    while (end < buffer.length && buffer[end] === 0) end++;
    if (end - at >= SHORTEST_RUN) {
      if (at > start) pieces.push(buffer.toString('hex', start, at));
      pieces.push({ zeros: end - at });
      start = end;
    }
    at = Math.max(end, at + 1);
  }
  if (start < buffer.length) pieces.push(buffer.toString('hex', start));
  return pieces;
}

const SHORTEST_RUN = 24;

export function unpack(packed: Packed): Buffer {
  return Buffer.concat(
    packed.map((piece) => {
      if (typeof piece === 'string') return Buffer.from(piece, 'hex');
      return 'text' in piece ? Buffer.from(piece.text) : Buffer.alloc(piece.zeros);
    }),
  );
}
