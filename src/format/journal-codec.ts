import { ByteReader, ByteWriter, MalformedError } from '../base/bytes.ts';
import { type Geometry, MAX_CHUNKS } from './geometry.ts';
import { FORMAT_VERSION } from './header.ts';
import { readExtents, readInode, writeExtents, writeInode } from './inode-codec.ts';
import type { JournalEntry } from './journal.ts';
import { checkEntry } from './journal-check.ts';
import { DIGEST_SIZE, ID_SIZE } from './manifest.ts';
import { MAX_MANIFEST_SIZE } from './manifest-envelope.ts';

/** The file `journal` (format.md §8): a header, then frames. Sizes are bytes. */

export const JOURNAL_HEADER_SIZE = 32;
/** The size of a frame's head, before its ciphertext: u32 length, nonce. */
export const FRAME_HEAD_SIZE = 16;
export const FRAME_TAG_SIZE = 16;
/** The bytes of a frame that are not entries. */
export const FRAME_OVERHEAD = FRAME_HEAD_SIZE + FRAME_TAG_SIZE;
/**
 * The most bytes for the entries of one frame: as many as in a manifest, so that whatever fits there fits in one frame.
 */
export const MAX_FRAME = MAX_MANIFEST_SIZE;

const MAGIC = Buffer.from('ckptjrnl', 'latin1');
const PREFIX_SIZE = 16;

function prefix(): Buffer {
  const bytes = Buffer.alloc(PREFIX_SIZE);
  MAGIC.copy(bytes);
  bytes.writeUInt32LE(FORMAT_VERSION, 8);
  return bytes;
}

/** Encodes a journal's header. @param id of the journal, 16 random bytes */
export function encodeJournalHeader(id: Uint8Array): Buffer {
  if (id.length !== ID_SIZE) throw new MalformedError(`journal id of ${id.length} bytes`);
  return Buffer.concat([prefix(), id]);
}

/** Returns the journal's id. @throws MalformedError */
export function parseJournalHeader(bytes: Uint8Array): Buffer {
  if (bytes.length !== JOURNAL_HEADER_SIZE) throw new MalformedError(`journal header of ${bytes.length} bytes`);
  if (!prefix().equals(bytes.subarray(0, PREFIX_SIZE))) throw new MalformedError('journal begins with unknown bytes');
  return Buffer.from(bytes.subarray(PREFIX_SIZE));
}

/** The number that precedes each entry. */
const codes = {
  base: 1,
  barrier: 2,
  object: 3,
  inode: 4,
  gone: 5,
  name: 6,
  unname: 7,
  extents: 8,
  chunks: 9,
  holes: 10,
} as const satisfies Readonly<Record<JournalEntry['kind'], number>>;

/**
 * Encodes the plaintext of a frame.
 * @throws MalformedError when an entry breaks a rule of the format, and for no entries or too many for a frame
 */
export function encodeEntries(entries: readonly JournalEntry[], geometry: Geometry): Buffer {
  const out = new ByteWriter();
  for (const [at, entry] of entries.entries()) {
    checkEntry(entry, at, entries[0], geometry);
    out.u8(codes[entry.kind]);
    writeEntry(out, entry, geometry);
  }
  checkLength(out.length);
  return out.finish();
}

/**
 * Decodes the plaintext of a frame; accepts only what {@link encodeEntries} can produce. The caller checks that the
 * entries agree with earlier frames, and `base` with the number of its frame.
 * @throws MalformedError
 */
export function decodeEntries(plain: Uint8Array, geometry: Geometry): JournalEntry[] {
  checkLength(plain.length);
  const input = new ByteReader(plain);
  const entries: JournalEntry[] = [];
  while (input.remaining > 0) {
    const entry = readEntry(input, geometry);
    checkEntry(entry, entries.length, entries[0], geometry);
    entries.push(entry);
  }
  return entries;
}

function checkLength(length: number): void {
  if (length < 1 || length > MAX_FRAME) throw new MalformedError(`frame of ${length} bytes`);
}

function writeEntry(out: ByteWriter, entry: JournalEntry, { recordSize }: Geometry): void {
  switch (entry.kind) {
    case 'base':
      out.u64(entry.epoch);
      break;
    case 'barrier':
      break;
    case 'object':
      out.bytes(entry.id);
      out.u64(entry.chunks);
      out.bytes(entry.digests);
      break;
    case 'inode':
      out.u32(entry.inode);
      writeInode(out, entry.value);
      break;
    case 'gone':
      out.u32(entry.inode);
      break;
    case 'name':
      out.u32(entry.parent);
      out.u32(entry.inode);
      writeName(out, entry.name);
      break;
    case 'unname':
      out.u32(entry.parent);
      writeName(out, entry.name);
      break;
    case 'extents':
      out.u32(entry.inode);
      writeExtents(out, entry.extents);
      break;
    case 'chunks':
      out.u32(entry.inode);
      out.u64(entry.fileChunk);
      out.u32(entry.object);
      out.u64(entry.objectChunk);
      out.u32(entry.records.length / recordSize);
      out.bytes(entry.records);
      break;
    case 'holes':
      out.u32(entry.inode);
      out.u64(entry.fileChunk);
      out.u64(entry.count);
  }
}

function readEntry(input: ByteReader, geometry: Geometry): JournalEntry {
  const code = input.u8();
  switch (code) {
    case codes.base:
      return { kind: 'base', epoch: input.u64() };
    case codes.barrier:
      return { kind: 'barrier' };
    case codes.object:
      return { kind: 'object', ...readObject(input, geometry) };
    case codes.inode:
      return { kind: 'inode', inode: input.u32(), value: readInode(input) };
    case codes.gone:
      return { kind: 'gone', inode: input.u32() };
    case codes.name:
      return { kind: 'name', parent: input.u32(), inode: input.u32(), name: readName(input) };
    case codes.unname:
      return { kind: 'unname', parent: input.u32(), name: readName(input) };
    case codes.extents:
      return { kind: 'extents', inode: input.u32(), extents: readExtents(input) };
    case codes.chunks:
      return {
        kind: 'chunks',
        inode: input.u32(),
        fileChunk: input.u64(),
        object: input.u32(),
        objectChunk: input.u64(),
        records: Buffer.from(input.take(input.count32(geometry.recordSize) * geometry.recordSize)),
      };
    case codes.holes:
      return { kind: 'holes', inode: input.u32(), fileChunk: input.u64(), count: input.u64() };
    default:
      throw new MalformedError(`journal entry of unknown kind ${code}`);
  }
}

function readObject(input: ByteReader, geometry: Geometry): { id: Buffer; chunks: number; digests: Buffer } {
  const id = Buffer.from(input.take(ID_SIZE));
  const chunks = input.u64();
  if (chunks > MAX_CHUNKS) throw new MalformedError(`object of ${chunks} chunks`);
  return { id, chunks, digests: Buffer.from(input.take(geometry.groupsFor(chunks) * DIGEST_SIZE)) };
}

function writeName(out: ByteWriter, name: Uint8Array): void {
  out.u8(name.length);
  out.bytes(name);
}

function readName(input: ByteReader): Buffer {
  return Buffer.from(input.take(input.u8()));
}
