import { createHash } from 'node:crypto';
import { parseHeader } from '../format/header.ts';
import { PACKED_BLOCK_SIZE, PartUnpacker } from '../format/packed-part.ts';
import { type PushedBytes, partsOf, type RemoteIndex, type RemotePart } from '../format/remote-index.ts';
import { corrupt } from './shared/faults.ts';
import type { RemoteStore } from './shared/remote-store.ts';

/** @throws CkptfsError `damaged` when the header is not the one that the index belongs to; what a fetch throws */
export async function fetchHeader(remote: RemoteStore, index: RemoteIndex): Promise<Buffer> {
  const file = index.files.find(({ name }) => name === 'ckptfs.json');
  if (file === undefined) throw corrupt(remote.location, 'the index has no header');
  const bytes = await fetchWhole(remote, file, index.partSize);
  checkHeader(remote, index, bytes);
  return bytes;
}

/** @throws CkptfsError `damaged` unless bytes are the header that the index belongs to */
export function checkHeader({ location }: RemoteStore, index: RemoteIndex, bytes: Buffer): void {
  const { imageId, cipher } = parseHeader(bytes);
  if (imageId.toString('hex') !== index.imageId || cipher !== index.cipher)
    throw corrupt(location, 'the header is not the one of the image that the index names');
}

/**
 * Fetches a file, or the block table, into memory.
 * @throws CkptfsError `store-unavailable`, `interrupted`; `damaged` unless it has the bytes that the index says
 */
export async function fetchWhole(remote: RemoteStore, file: PushedBytes, partSize: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(file.size);
  let length = 0;
  for (const part of partsOf(file, partSize)) {
    const hash = createHash('sha256');
    const memory = Buffer.allocUnsafe(PACKED_BLOCK_SIZE);
    const unpacker = new PartUnpacker(part.length, memory, (block) => {
      length += block.copy(bytes, length);
    });
    await remote.getRange(part, 0, part.size, (chunk) => {
      hash.update(chunk);
      unpacker.write(chunk);
    });
    checkFetched(remote, part, hash.digest('hex'), unpacker.isWhole);
  }
  return bytes;
}

/** @throws CkptfsError `damaged` */
export function checkFetched({ location }: RemoteStore, { digest }: RemotePart, found: string, isWhole: boolean): void {
  if (found !== digest) throw corrupt(location, `the part ${digest} has other bytes than its name says`);
  if (!isWhole) throw corrupt(location, `the part ${digest} is not packed as it must be`);
}
