import { createHash } from 'node:crypto';
import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import type { Header } from '../format/header.ts';
import { MAX_HEADER_SIZE } from '../format/header.ts';
import { MAX_MANIFEST_SIZE } from '../format/manifest-envelope.ts';
import { PACKED_BLOCK_SIZE, packBlock } from '../format/packed-part.ts';
import {
  objectFileName,
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
  /** The files of the index, in its order. */
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
 * @throws CkptfsError `damaged`, `io`, `interrupted`
 */
export async function planPush(store: Store, header: Header, options: PlanOptions): Promise<PushPlan> {
  const files = filesOf(store);
  const objects = files.filter((file) => file instanceof ObjectFile);
  const partSize = options.partSize ?? partSizeFor(objects.reduce((sum, { size }) => sum + size, 0));
  const listed: RemoteFile[] = [];
  for (const file of files) listed.push(await hashed(file, partSize, options));
  const index = { imageId: header.imageId.toString('hex'), cipher: header.cipher, partSize, files: listed };
  return { index, files };
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

async function hashed(file: LocalFile, partSize: number, { onHashed, signal }: PlanOptions): Promise<RemoteFile> {
  const parts: RemotePart[] = [];
  const region = new Region(Math.min(PACKED_BLOCK_SIZE, partSize));
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
  return { name: file.name, size: file.size, parts };
}
