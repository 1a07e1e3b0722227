import { MalformedError } from '../base/bytes.ts';
import type { Directory } from '../base/linux/directory.ts';
import { Region } from '../base/linux/native.ts';
import { LockedPages } from '../crypto/locked-pages.ts';
import type { Allowance } from './allowance.ts';
import { BlobKey } from './blob-key.ts';
import { indexGhostFile } from './ghost-file.ts';
import { type ImageKind, imageKind, type SealedLayout } from './image-kind.ts';
import { startsWithMagic } from './image-magic.ts';
import { listFiles, openListed, readCipherImage, readListed, type StoredEntry } from './layer-directory.ts';
import { indexPaddedRecords } from './padded-records.ts';
import { PageOwners } from './page-owners.ts';
import { PIECE, type PieceTable, plainSize } from './piece-table.ts';
import { isPlainImage, plainEntries } from './plain-entries.ts';
import { type BpfMaps, bpfMapsIn, openSealed } from './sealed-layouts.ts';
import { SealedWalk } from './sealed-walk.ts';
import type { FileBody, Protection, SharedFile, SharedLayer } from './shared-layer.ts';

/** The image that tells the sizes of BPF maps. */
const FILES_IMAGE = 'files.img';

/** A file before it was looked into. */
interface Candidate {
  readonly entry: StoredEntry;
  readonly kind: ImageKind;
}

/**
 * Opens the images of a directory, as {@link SharedLayer} says. What is wrong with one is its `problem`.
 * @param token 32 bytes
 * @throws CkptfsError `damaged` about cipher.img; `unsupported-source` above the allowance; `io`
 */
export function indexLayer(directory: Directory, token: Uint8Array, allowance: Allowance): SharedLayer {
  const { iv, digest } = readCipherImage(directory);
  const candidates = listFiles(directory).map((entry): Candidate => ({ entry, kind: kindOf(directory, entry) }));
  const held = candidates.filter(({ kind }) => isHeld(kind)).reduce((sum, { entry }) => sum + entry.size, 0);
  allowance.hold(held, directory.path());
  const opening = new LayerOpening(directory, token, held, allowance);
  try {
    const files = opening.files(candidates, digest);
    return { ...opening.memory, iv, digest, files };
  } catch (error) {
    opening.discard();
    throw error;
  } finally {
    opening.end();
  }
}

/** Looks into a file of a name that CRIU itself does not use: it may be an image of a plugin, or anything. */
function kindOf(directory: Directory, entry: StoredEntry): ImageKind {
  const kind = imageKind(entry.name.toString('latin1'));
  if (kind !== 'unknown') return kind;
  const file = openListed(directory, entry);
  try {
    const head = new Region(4);
    return file.read(head, 0, 4, 0) === 4 && startsWithMagic(head) ? 'unknown' : 'clear';
  } finally {
    file.close();
  }
}

/** Tells whether files of a kind are decrypted as a whole. */
function isHeld(kind: ImageKind): kind is SealedLayout | 'unknown' {
  return !['pages', 'ghost', 'padded-records', 'clear'].includes(kind);
}

/** What was found out about a file, but for its name and place. */
type Opened = Pick<SharedFile, 'size' | 'protection' | 'body' | 'problem'>;

class LayerOpening {
  readonly #directory: Directory;
  readonly #allowance: Allowance;
  readonly #key: BlobKey;
  readonly #memory: SharedArrayBuffer;
  readonly #pages: LockedPages;
  readonly #region: Region;
  readonly #owners = new PageOwners();
  #used = 0;
  #bpfMaps: BpfMaps = new Map();

  constructor(directory: Directory, token: Uint8Array, held: number, allowance: Allowance) {
    this.#allowance = allowance;
    this.#directory = directory;
    this.#key = new BlobKey(token);
    this.#memory = new SharedArrayBuffer(LockedPages.memoryFor(Math.max(held, 1)));
    this.#pages = new LockedPages(this.#memory);
    this.#region = new Region(this.#pages.bytes);
  }

  get memory(): Pick<SharedLayer, 'memory' | 'isLocked' | 'heldBytes'> {
    return { memory: this.#memory, isLocked: this.#pages.locked, heldBytes: this.#used };
  }

  files(candidates: readonly Candidate[], digest: Uint8Array | undefined): SharedFile[] {
    const opened = new Map<Candidate, Opened>();
    // Images that tell something about others come first.
    const byRank = candidates.toSorted((a, b) => rank(a) - rank(b));
    for (const candidate of byRank) opened.set(candidate, this.#open(candidate, digest));
    return candidates.map((candidate) => {
      const { name, size: storedSize, inode } = candidate.entry;
      return { name, storedSize, inode, ...(opened.get(candidate) ?? unreadable(storedSize, 'sealed', 'not opened')) };
    });
  }

  end(): void {
    this.#key.dispose();
  }

  discard(): void {
    this.#pages.release();
  }

  #open({ entry, kind }: Candidate, digest: Uint8Array | undefined): Opened {
    try {
      if (isHeld(kind)) return this.#openHeld(entry, kind);
      if (kind === 'ghost' || kind === 'padded-records') return this.#index(entry, kind);
      return kind === 'pages'
        ? this.#owners.judge(entry, digest)
        : { size: entry.size, protection: 'clear', body: { kind: 'clear' } };
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      if (kind === 'pagemap') this.#owners.addUnreadable();
      return unreadable(entry.size, kind === 'pages' ? 'pages' : 'sealed', error.message);
    }
  }

  #openHeld(entry: StoredEntry, kind: SealedLayout | 'unknown'): Opened {
    const image = readListed(this.#directory, entry);
    const walk = new SealedWalk(this.#key, image, this.#region, this.#used);
    try {
      openSealed(kind === 'unknown' ? 'entries' : kind, image, walk, this.#bpfMaps);
    } catch (error) {
      const mayBeClear = (kind === 'pagemap' || kind === 'unknown') && walk.entries === 0;
      if (!mayBeClear || !isPlainImage(image.bytes)) throw error;
      this.#learn(entry, kind, image.bytes, 'clear');
      return { size: entry.size, protection: 'clear', body: { kind: 'clear' } };
    }
    const at = this.#used;
    this.#learn(entry, kind, this.#region.bytes.subarray(at, at + walk.written), 'sealed');
    this.#used += walk.written;
    return { size: walk.written, protection: 'sealed', body: { kind: 'held', at } };
  }

  /** Takes from an image what is needed to read others. What cannot be found in it is no fault of this one. */
  #learn({ name }: StoredEntry, kind: ImageKind, plain: Uint8Array, found: 'sealed' | 'clear'): void {
    try {
      if (kind === 'pagemap') this.#owners.add(plain, found);
      if (name.toString('latin1') === FILES_IMAGE) this.#bpfMaps = bpfMapsIn(plainEntries(plain));
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      if (kind === 'pagemap') this.#owners.addUnreadable();
    }
  }

  #index(entry: StoredEntry, kind: 'ghost' | 'padded-records'): Opened {
    const file = openListed(this.#directory, entry);
    try {
      const table =
        kind === 'ghost' ? indexGhostFile(file, this.#key, this.#allowance) : indexPaddedRecords(file, this.#allowance);
      const body: FileBody = { kind: 'pieces', table };
      return { size: plainSize(table), protection: protectionOf(table), body };
    } finally {
      file.close();
    }
  }
}

/** Names first what others need: files.img, then pagemaps, and pages of memory last. */
function rank({ entry, kind }: Candidate): number {
  if (entry.name.toString('latin1') === FILES_IMAGE) return 0;
  return kind === 'pages' ? 2 : 1;
}

/** Magics and numbers of entries are in clear in every file: only data that is tells of a file with holes. */
function protectionOf({ kinds }: PieceTable): Protection {
  const sealed = kinds.reduce((count, kind) => count + (kind === PIECE.clear ? 0 : 1), 0);
  const hasRecords = kinds.includes(PIECE.ghostRecord) || kinds.includes(PIECE.paddedRecord);
  return sealed > 1 && !hasRecords ? 'partly-clear' : 'sealed';
}

function unreadable(size: number, protection: Protection, problem: string): Opened {
  return { size, protection, problem, body: { kind: 'none' } };
}
