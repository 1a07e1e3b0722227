import { createHash } from 'node:crypto';
import { MalformedError } from '../base/bytes.ts';
import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { primitives } from '../crypto/select.ts';
import { imageKind, pagesId, sharedMemoryId } from './image-kind.ts';
import { Message } from './message.ts';
import { PAGE_SIZE } from './page-reader.ts';
import { type PageRun, readPagemap } from './pagemap.ts';
import { plainEntries } from './plain-entries.ts';
import type { Protection } from './shared-layer.ts';
import { readStored, type StoredFile } from './stored-file.ts';

/** What the page digest of cipher.img tells. */
export type PageDigest =
  | { readonly outcome: 'matches' | 'differs'; readonly pages: number }
  /** It tells nothing of pages that CRIU leaves out of it. */
  | { readonly outcome: 'unknown'; readonly pages: number; readonly why: string };

/** The parts of a layer that the digest is about. Files are numbers. */
export interface DigestSource {
  readonly files: readonly {
    readonly name: Buffer;
    readonly protection: Protection;
    readonly problem?: string | undefined;
  }[];
  readonly digest: Uint8Array | undefined;
  readonly token: Uint8Array;
  /** Returns all plain bytes of an image. @throws CkptfsError `damaged`, `io` */
  readPlain(file: number): Uint8Array;
  /** Opens a file as it is stored. @throws CkptfsError `damaged`, `io` */
  stored(file: number): StoredFile;
  damaged(file: number, reason: string): CkptfsError;
  /** Is told of each file of pages that was read to its end, by the SHA-256 of what is stored. */
  checked(file: number, digest: Uint8Array): void;
}

const DIGEST_SIZE = 32;
/** What is authenticated of a page: its ciphertext, its address in 8 bytes, and 4 bytes that are always zeros. */
const PAGE_INPUT_SIZE = PAGE_SIZE + 12;
/** Pages that are read at once. */
const RUN = 256;
/** In an entry of ipcns-shm: the description of the segment, and its id in there. */
const SEGMENT = { description: 1, id: 7 } as const;

/**
 * Compares the XOR of the HMACs of all pages with the digest. Every page of a file of pages must be one of its pagemap.
 * @throws CkptfsError `damaged`, `io`
 */
export function* checkPageDigest(source: DigestSource): Generator<{ readonly bytesDone: number }, PageDigest> {
  const pagemaps = [...sealedPagemaps(source)];
  const sums = { all: new Uint8Array(DIGEST_SIZE), dumper: new Uint8Array(DIGEST_SIZE) };
  const forked = sharedSegments(source);
  let [pages, left] = [0, 0];
  for (const { file, pagesFile } of pagemaps) {
    const segment = sharedMemoryId(source.files[file]?.name.toString('latin1') ?? '');
    const isForked = segment !== undefined && forked.has(segment);
    for (const mac of pageMacs(source, file, pagesFile)) {
      addInto(sums.all, mac);
      if (isForked) left++;
      else addInto(sums.dumper, mac);
      pages++;
      if (pages % RUN === 0) yield { bytesDone: pages * PAGE_SIZE };
    }
  }
  yield { bytesDone: pages * PAGE_SIZE };
  return judge(source, sums, pages, left);
}

function judge(
  { files, digest }: DigestSource,
  sums: { readonly all: Uint8Array; readonly dumper: Uint8Array },
  pages: number,
  left: number,
): PageDigest {
  // CRIU always writes it, and restores nothing without: who takes it away must not get around it.
  if (digest === undefined) throw new CkptfsError('damaged', 'it has no page digest, which CRIU always writes');
  const isEqual = (sum: Uint8Array): boolean => primitives().isEqual(sum, digest);
  const hasClearPages = files.some(
    ({ name, protection }) => protection === 'clear' && pagesId(name.toString('latin1')) !== undefined,
  );
  if (hasClearPages && isEqual(sums.all))
    return { outcome: 'unknown', pages, why: 'memory went through a page server and is stored in clear' };
  if (isEqual(sums.all)) return { outcome: 'matches', pages };
  if (left > 0 && isEqual(sums.dumper)) {
    const why = `CRIU leaves pages of System V shared memory out of the page digest (${left} of ${pages} here)`;
    return { outcome: 'unknown', pages, why };
  }
  return { outcome: 'differs', pages };
}

/** Pairs the sealed pagemaps with their files of pages. @throws CkptfsError `damaged` when they are not pairs */
function* sealedPagemaps(source: DigestSource): Generator<{ readonly file: number; readonly pagesFile: number }> {
  const pagesFiles = new Map<number, number>();
  for (const [file, { name, protection, problem }] of source.files.entries()) {
    const id = pagesId(name.toString('latin1'));
    const isOfPages = id !== undefined || imageKind(name.toString('latin1')) === 'pagemap';
    if (isOfPages && problem !== undefined) throw source.damaged(file, problem);
    if (id !== undefined && protection === 'pages') pagesFiles.set(id, file);
  }
  for (const [file, { name, protection }] of source.files.entries()) {
    if (imageKind(name.toString('latin1')) !== 'pagemap' || protection !== 'sealed') continue;
    const id = located(source, file, () => readPagemap(source.readPlain(file))?.pagesId);
    if (id === undefined) continue;
    const pagesFile = pagesFiles.get(id);
    if (pagesFile === undefined) {
      if (runsOf(source, file).next().done !== true)
        throw source.damaged(file, `it names pages-${id}.img, which is not there`);
      continue;
    }
    pagesFiles.delete(id);
    yield { file, pagesFile };
  }
  for (const file of pagesFiles.values())
    if (source.stored(file).size > 0) throw source.damaged(file, 'it has pages, and no pagemap names it');
}

/** Computes the HMAC of each page of a pagemap. The result is valid until the next one. */
function* pageMacs(source: DigestSource, file: number, pagesFile: number): Generator<Uint8Array> {
  const stored = source.stored(pagesFile);
  const [run, input, mac] = [new Region(RUN * PAGE_SIZE), new Region(PAGE_INPUT_SIZE), new Region(DIGEST_SIZE)];
  const hash = createHash('sha256');
  let position = 0;
  for (const { address, pages } of runsOf(source, file)) {
    if (pages * PAGE_SIZE > stored.size - position)
      throw source.damaged(pagesFile, 'it has fewer pages than its pagemap');
    for (let at = 0; at < pages; at += RUN) {
      const count = Math.min(RUN, pages - at);
      located(source, pagesFile, () => readStored(stored, run, 0, count * PAGE_SIZE, position));
      hash.update(run.bytes.subarray(0, count * PAGE_SIZE));
      for (let page = 0; page < count; page++) {
        run.bytes.copy(input.bytes, 0, page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
        input.view.setBigUint64(PAGE_SIZE, address + BigInt((at + page) * PAGE_SIZE), true);
        primitives().hmacSha256(source.token, input.bytes, mac.bytes);
        yield mac.bytes;
      }
      position += count * PAGE_SIZE;
    }
  }
  if (position !== stored.size) throw source.damaged(pagesFile, 'it has more pages than its pagemap');
  source.checked(pagesFile, hash.digest());
}

/** Goes through the runs of a pagemap, of which there may be millions. @throws CkptfsError `damaged`, `io` */
function* runsOf(source: DigestSource, file: number): Generator<PageRun> {
  try {
    yield* readPagemap(source.readPlain(file))?.runs ?? [];
  } catch (error) {
    throw error instanceof MalformedError ? source.damaged(file, error.message) : error;
  }
}

/** Returns the ids of System V shared memory, which a child of the dumper writes in the namespace it is in. */
function sharedSegments(source: DigestSource): ReadonlySet<bigint> {
  const ids = new Set<bigint>();
  for (const [file, { name, problem }] of source.files.entries()) {
    if (problem !== undefined || !/^ipcns-shm-\d+\.img$/.test(name.toString('latin1'))) continue;
    located(source, file, () => {
      for (const entry of plainEntries(source.readPlain(file))) {
        const description = new Message(entry).part(SEGMENT.description);
        if (description !== undefined) ids.add(new Message(description).number(SEGMENT.id) ?? 0n);
      }
    });
  }
  return ids;
}

function located<T>(source: DigestSource, file: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof MalformedError ? source.damaged(file, error.message) : error;
  }
}

function addInto(sum: Uint8Array, mac: Uint8Array): void {
  for (let at = 0; at < DIGEST_SIZE; at++) sum[at] = (sum[at] ?? 0) ^ (mac[at] ?? 0);
}
