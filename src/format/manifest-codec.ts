import { ByteReader, ByteWriter, MalformedError } from '../base/bytes.ts';
import { chunksPerGroup, MAX_CHUNKS, PAGE_SIZE } from './geometry.ts';
import { MIN_INODE_BYTES, readExtents, readInode, writeExtents, writeInode } from './inode-codec.ts';
import { DIGEST_SIZE, type Entry, ID_SIZE, type Inode, type Manifest, type ObjectEntry } from './manifest.ts';
import { checkManifest } from './manifest-check.ts';

/** The least bytes that one of each takes, to check a count before anything is allocated for it. */
const MIN_OBJECT_BYTES = ID_SIZE + 8 + DIGEST_SIZE;
const MIN_ENTRY_BYTES = 10;

/**
 * Encodes a manifest's plaintext (format.md §5), padded to whole pages.
 * @throws MalformedError when it breaks a rule of the format
 */
export function encodeManifest(manifest: Manifest, chunkSize: number): Buffer {
  checkManifest(manifest, chunkSize);
  const out = new ByteWriter();
  out.u64(manifest.epoch);
  out.u32(manifest.objects.length);
  out.u32(manifest.inodes.length);
  out.u32(manifest.entries.length);
  for (const object of manifest.objects) {
    out.bytes(object.id);
    out.u64(object.chunks);
    out.bytes(object.digests);
  }
  for (const inode of manifest.inodes) {
    writeInode(out, inode.type === 'file' ? { ...inode, open: false, lost: false } : inode);
    if (inode.type === 'file') writeExtents(out, inode.extents);
  }
  for (const entry of manifest.entries) {
    out.u32(entry.parent);
    out.u32(entry.inode);
    out.u8(entry.name.length);
    out.bytes(entry.name);
  }
  out.zeros((PAGE_SIZE - (out.length % PAGE_SIZE)) % PAGE_SIZE);
  return out.finish();
}

/** Decodes a manifest's plaintext; accepts only what {@link encodeManifest} can produce. @throws MalformedError */
export function decodeManifest(plain: Uint8Array, chunkSize: number): Manifest {
  if (plain.length % PAGE_SIZE !== 0) throw new MalformedError('manifest is not whole pages');
  const input = new ByteReader(plain);
  const epoch = input.u64();
  const objectCount = input.u32();
  const inodeCount = input.u32();
  const entryCount = input.u32();
  if (objectCount * MIN_OBJECT_BYTES + inodeCount * MIN_INODE_BYTES + entryCount * MIN_ENTRY_BYTES > input.remaining) {
    throw new MalformedError('manifest counts do not fit in the manifest');
  }
  const manifest: Manifest = {
    epoch,
    objects: Array.from({ length: objectCount }, () => readObject(input, chunkSize)),
    inodes: Array.from({ length: inodeCount }, () => readWholeInode(input)),
    entries: Array.from({ length: entryCount }, () => readEntry(input)),
  };
  const padding = input.take(input.remaining);
  if (padding.length >= PAGE_SIZE || padding.some((byte) => byte !== 0)) {
    throw new MalformedError('manifest is not padded with zeros to the next page');
  }
  checkManifest(manifest, chunkSize);
  return manifest;
}

function readObject(input: ByteReader, chunkSize: number): ObjectEntry {
  const id = Buffer.from(input.take(ID_SIZE));
  const chunks = input.u64();
  if (chunks < 1 || chunks > MAX_CHUNKS) throw new MalformedError(`object of ${chunks} chunks`);
  const pages = Math.ceil(chunks / chunksPerGroup(chunkSize));
  return { id, chunks, digests: Buffer.from(input.take(pages * DIGEST_SIZE)) };
}

function readEntry(input: ByteReader): Entry {
  return { parent: input.u32(), inode: input.u32(), name: Buffer.from(input.take(input.u8())) };
}

function readWholeInode(input: ByteReader): Inode {
  const inode = readInode(input);
  if (inode.type !== 'file') return inode;
  const { open, lost, ...file } = inode;
  if (open || lost) throw new MalformedError('flags of an unsealed file in a manifest');
  return { ...file, extents: readExtents(input) };
}
