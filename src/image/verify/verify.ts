import { Counters } from '../../base/counters.ts';
import { CkptfsError } from '../../base/errors.ts';
import { firstNotBelow } from '../../base/search.ts';
import { SECTOR_SIZE } from '../../format/geometry.ts';
import { encodeStatement } from '../../format/signatures.ts';
import { geometryOf } from '../objects/image-context.ts';
import type { Image } from '../read/image.ts';
import { ObjectReader } from '../read/object-reader.ts';
import { ImageTree } from '../read/tree.ts';
import { statementOf } from '../signatures/sign.ts';
import { readSignatures } from '../signatures/stored-signatures.ts';
import type { Progress } from '../workers/worker-pool.ts';
import { type Cancellation, runTasks } from '../workers/worker-pool.ts';
import { Coverage, countBits } from './coverage.ts';
import type { VerifyResult, VerifySetup, VerifyTask } from './verify-worker.ts';

export interface VerifyOptions extends Cancellation {
  readonly jobs?: number;
  readonly onProgress?: (progress: Progress) => void;
}

/** One fault. It has no `file` if no file has bytes there, and no `chunk` if it concerns a whole object. */
export interface Damage {
  /** Path within the image, '/' between names. */
  readonly file?: Buffer;
  /**
   * Object id, 32 hexadecimal digits, the path of a directory of objects that is something else, or `signatures`.
   */
  readonly object: string;
  readonly chunk?: number;
  readonly reason: string;
}

export interface VerifyReport {
  readonly objects: number;
  /** The number of chunks in which files have bytes. */
  readonly chunks: number;
  /** Empty: every byte of the image is what was sealed. */
  readonly damage: readonly Damage[];
  /** Paths in the image's directory that are not part of an image. They are not read, and do no harm. */
  readonly unexpected: readonly string[];
}

/**
 * Reads and authenticates every chunk in which a file has bytes, and finds objects that are missing and files that are
 * not of the image.
 * @throws CkptfsError `io`, `interrupted`
 */
export async function verifyImage(image: Image, options: VerifyOptions = {}): Promise<VerifyReport> {
  const { objects } = image.manifest;
  const geometry = geometryOf(image.header);
  const files = new FilesOfObjects(image);
  const coverage = new Coverage(image.manifest, geometry);
  const broken = brokenObjects(image);
  const { damage, unexpected } = surplus(image);
  const misfit = misfitOfSignatures(image);
  if (misfit !== undefined) damage.push({ object: 'signatures', reason: misfit });
  for (const [object, reason] of broken) {
    for (const file of files.of(object)) damage.push({ file, object: objectId(image, object), reason });
  }
  const chunks = coverage.count();
  const totalBytes = chunks * geometry.chunkSize;
  let doneBytes = 0;
  function* tasks(): Generator<VerifyTask> {
    for (const [object, { chunks }] of objects.entries()) {
      if (broken.has(object)) continue;
      for (let group = 0; group < geometry.groupsFor(chunks); group++) {
        const covered = coverage.ofGroup(object, group).slice();
        if (covered.some((byte) => byte !== 0)) yield { object, group, covered };
      }
    }
  }
  await runTasks<VerifyTask, VerifyResult, VerifySetup>({
    setup: {
      job: 'verify',
      store: image.store.place,
      imageKey: image.imageKey.shared,
      manifestDigest: image.manifestDigest,
    },
    tasks: tasks(),
    work: { bytes: totalBytes, pieces: objects.length },
    jobs: options.jobs,
    signal: options.signal,
    onCancellable: options.onCancellable,
    onResult: (faults, { object, covered }) => {
      for (const { chunk, sectors, reason } of faults) {
        const place = { object: objectId(image, object), chunk, reason };
        const hit = files.in(object, chunk * geometry.sectorsPerChunk, sectors);
        if (hit.length === 0) damage.push(place);
        for (const file of hit) damage.push({ file, ...place });
      }
      doneBytes += countBits(covered) * geometry.chunkSize;
      options.onProgress?.({ doneBytes, totalBytes });
    },
  });
  return { objects: objects.length, chunks, damage: damage.sort(byPlace), unexpected: unexpected.sort() };
}

/** Says what is wrong with the signatures, if there are any: they must be of this seal. Nobody's key is asked for. */
function misfitOfSignatures({ store, header, manifest, manifestDigest }: Image): string | undefined {
  const stored = readSignatures(store);
  if (stored.kind !== 'found') return stored.kind === 'none' ? undefined : stored.problem;
  const expected = statementOf(header, manifest.epoch, { digest: manifestDigest });
  const isOfThisSeal = encodeStatement(expected).equals(encodeStatement(stored.statement));
  return isOfThisSeal ? undefined : 'the signatures are of another image, or of another seal of this one';
}

function objectId(image: Image, object: number): string {
  return image.manifest.objects[object]?.id.toString('hex') ?? '';
}

/** Returns the objects that do not open, with the reasons. */
function brokenObjects(image: Image): Map<number, string> {
  const reader = new ObjectReader(image, new Counters());
  const broken = new Map<number, string>();
  try {
    for (const object of image.manifest.objects.keys()) {
      try {
        reader.checkObject(object);
      } catch (error) {
        if (!(error instanceof CkptfsError) || error.code !== 'damaged') throw error;
        broken.set(object, error.message.replace(/^object [0-9a-f]{32}:? /, ''));
      }
    }
  } finally {
    reader.close();
  }
  return broken;
}

/** Finds objects that do not belong to the image, and files that do not belong to any image. */
function surplus({ store, manifest }: Image): { readonly damage: Damage[]; readonly unexpected: string[] } {
  const known = new Set(manifest.objects.map(({ id }) => id.toString('hex')));
  try {
    const { objects, unexpected } = store.list();
    const extra = objects.filter(({ id }) => !known.has(id));
    return {
      damage: extra.map(({ id }) => ({ object: id, reason: 'this object does not belong to the image' })),
      unexpected: [...unexpected],
    };
  } catch (error) {
    // A directory of objects is a symbolic link, for example. Its objects are missing then, so the files are named.
    if (!(error instanceof CkptfsError) || error.code !== 'damaged') throw error;
    return { damage: [{ object: 'objects', reason: error.message }], unexpected: [] };
  }
}

interface Span {
  readonly file: Buffer;
  /** Sectors. */
  readonly first: number;
  readonly last: number;
}

/** Finds the files that have bytes in a sector of an object. */
export class FilesOfObjects {
  /** The spans of each object, in the order of their first sectors. */
  readonly #spans: Span[][];
  /** For each span, the highest last sector up to it, since spans may overlap. */
  readonly #reach: readonly Float64Array[];

  constructor(image: Pick<Image, 'manifest'>) {
    const tree = new ImageTree(image.manifest);
    this.#spans = image.manifest.objects.map(() => []);
    for (const [at, inode] of image.manifest.inodes.entries()) {
      if (inode.type !== 'file') continue;
      const file = tree.pathOf(at + 1);
      for (const { object, objectOffset, length } of inode.extents) {
        const first = Math.floor(objectOffset / SECTOR_SIZE);
        const last = Math.floor((objectOffset + length - 1) / SECTOR_SIZE);
        this.#spans[object]?.push({ file, first, last });
      }
    }
    for (const spans of this.#spans) spans.sort((a, b) => a.first - b.first);
    this.#reach = this.#spans.map(reachOf);
  }

  /** Returns the paths of the files that have bytes in a sector, or in an object, each path once. */
  of(object: number, sector?: number): Buffer[] {
    return pathsOf(sector === undefined ? (this.#spans[object] ?? []) : this.#spansAt(object, sector));
  }

  /** Returns the paths of the files that have bytes in one of some sectors. @param map bit i means sector first + i */
  in(object: number, first: number, map: number): Buffer[] {
    const found: Span[] = [];
    for (let rest = map, sector = first; rest !== 0; rest >>>= 1, sector++) {
      if ((rest & 1) === 1) found.push(...this.#spansAt(object, sector));
    }
    return pathsOf(found);
  }

  #spansAt(object: number, sector: number): Span[] {
    const spans = this.#spans[object] ?? [];
    const found: Span[] = [];
    for (let at = firstNotBelow(this.#reach[object] ?? NO_REACH, sector, isLess); at < spans.length; at++) {
      const span = spans[at] as Span;
      if (span.first > sector) break;
      if (span.last >= sector) found.push(span);
    }
    return found;
  }
}

function pathsOf(spans: readonly Span[]): Buffer[] {
  return [...new Map(spans.map(({ file }) => [file.toString('latin1'), file])).values()];
}

const NO_REACH = new Float64Array();

function reachOf(spans: readonly Span[]): Float64Array {
  const reach = new Float64Array(spans.length);
  let furthest = 0;
  for (const [at, { last }] of spans.entries()) {
    furthest = Math.max(furthest, last);
    reach[at] = furthest;
  }
  return reach;
}

function isLess(number: number, bound: number): boolean {
  return number < bound;
}

function byPlace(a: Damage, b: Damage): number {
  const byFile = Buffer.compare(a.file ?? Buffer.alloc(0), b.file ?? Buffer.alloc(0));
  return byFile || a.object.localeCompare(b.object) || (a.chunk ?? -1) - (b.chunk ?? -1);
}
