import { createHash, hash as digestOf } from 'node:crypto';
import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { setBlockEntry } from '../format/block-table.ts';
import type { Header } from '../format/header.ts';
import { MAX_HEADER_SIZE } from '../format/header.ts';
import { MAX_MANIFEST_SIZE } from '../format/manifest-envelope.ts';
import { packBlock } from '../format/packed-part.ts';
import {
  BLOCK_ENTRY_SIZE,
  blockSizeFor,
  countBlocks,
  MAX_BLOCK_TABLE_SIZE,
  objectFileName,
  type PushedBytes,
  partSizeFor,
  type RemoteFile,
  type RemoteIndex,
  type RemotePart,
} from '../format/remote-index.ts';
import { MAX_SIGNATURES_SIZE } from '../format/signatures.ts';
import type { Store } from '../stores/store.ts';
import { type LocalFile, NamedBytes, ObjectFile } from './local-file.ts';

/** What is pushed: the index, and where each part is on this host. */
export interface PushPlan {
  readonly index: RemoteIndex;
  /** The files of the index, in its order, and the block table. */
  readonly files: readonly LocalFile[];
}

interface PlanOptions {
  /** Is told the bytes that were hashed since the last call. */
  readonly onHashed?: (bytes: number) => void;
  readonly signal: AbortSignal;
  /** Bytes; by the size of the image unless told. */
  readonly partSize?: number | undefined;
}

/**
 * Reads, packs and hashes all files of a sealed image, from which writers are kept out.
 * @throws CkptfsError `damaged`, `io`, `interrupted`; `bad-argument` for an image that is too large
 */
export async function planPush(store: Store, header: Header, options: PlanOptions): Promise<PushPlan> {
  const files = filesOf(store);
  const objects = files.filter((file) => file instanceof ObjectFile);
  const partSize = options.partSize ?? partSizeFor(objects.reduce((sum, { size }) => sum + size, 0));
  const size = countBlocks(files, partSize) * BLOCK_ENTRY_SIZE;
  if (size > MAX_BLOCK_TABLE_SIZE)
    throw new CkptfsError('bad-argument', `${store.location}: the image is too large to be pushed`);
  const table = Buffer.allocUnsafe(size);
  let block = 0;
  const listed: RemoteFile[] = [];
  for (const file of files) {
    const noteBlock = (packed: Buffer): void =>
      setBlockEntry(table, block++, packed.length, digestOf('sha256', packed, 'buffer'));
    const pushed = await hashed(file, partSize, options, file instanceof ObjectFile ? noteBlock : undefined);
    listed.push({ name: file.name, ...pushed });
  }
  const tableFile = new NamedBytes('the block table', table);
  const blocks = await hashed(tableFile, partSize, options);
  const index = { imageId: header.imageId.toString('hex'), cipher: header.cipher, partSize, files: listed, blocks };
  return { index, files: [...files, tableFile] };
}

function filesOf(store: Store): LocalFile[] {
  const named = (
    [
      ['ckptfs.json', MAX_HEADER_SIZE],
      ['manifest', MAX_MANIFEST_SIZE],
      ['signatures', MAX_SIGNATURES_SIZE],
    ] as const
  ).flatMap(([name, limit]) => {
    const bytes = store.readNamed(name, limit);
    return bytes === undefined ? [] : [new NamedBytes(name, bytes)];
  });
  const ids = store
    .list()
    .objects.map(({ id }) => id)
    .sort();
  const objects = ids.map((id) => new ObjectFile(objectFileName(id), store, id));
  const empty = [...named, ...objects].find(({ size }) => size === 0);
  if (empty !== undefined) throw new CkptfsError('damaged', `${store.location}/${empty.name} is empty`);
  return [...named, ...objects];
}

async function hashed(
  file: LocalFile,
  partSize: number,
  { onHashed, signal }: PlanOptions,
  onPacked?: (block: Buffer) => void,
): Promise<PushedBytes> {
  const parts: RemotePart[] = [];
  const region = new Region(blockSizeFor(partSize));
  const reader = file.open();
  try {
    for (let start = 0; start < file.size; start += partSize) {
      const end = Math.min(file.size, start + partSize);
      const hash = createHash('sha256');
      let size = 0;
      for (let at = start; at < end; at += region.length) {
        const length = Math.min(region.length, end - at);
        reader.read(region, length, at);
        const packed = packBlock(region.bytes.subarray(0, length));
        hash.update(packed);
        onPacked?.(packed);
        size += packed.length;
        onHashed?.(length);
        await new Promise(setImmediate);
        if (signal.aborted) throw new CkptfsError('interrupted', 'interrupted');
      }
      parts.push({ digest: hash.digest('hex'), size });
    }
  } finally {
    reader.close();
  }
  return { size: file.size, parts };
}
