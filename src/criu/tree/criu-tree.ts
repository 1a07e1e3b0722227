import { LRUCache } from 'lru-cache';
import type { Counters } from '../../base/counters.ts';
import { CkptfsError } from '../../base/errors.ts';
import { Directory } from '../../base/linux/directory.ts';
import type { Region } from '../../base/linux/native.ts';
import { quotedPath } from '../../base/printable.ts';
import type { Entry, FileInode, Inode } from '../../format/manifest.ts';
import type { ImageSource, SourceReader } from '../../image/read/image-source.ts';
import type { StorePlace } from '../../stores/store.ts';
import { type CheckedPages, CriuLayer, hasClearPages } from '../layer.ts';
import { LAYER_SECRETS_SIZE } from '../unlock-layer.ts';
import { attachImages, type ImagesReader } from './images.ts';
import { type ScannedTree, type SharedDirectory, scanTree } from './scan-tree.ts';
import { identifyTree, openTreeRoot } from './unlock-tree.ts';
import { openDirectoryAt } from './walk-directories.ts';

/** A tree that one thread has opened, for the others. A structured clone keeps it. Its only secret is small images. */
export interface SharedTree extends Pick<ScannedTree, 'inodes' | 'entries' | 'directories'> {
  readonly imageId: string;
}

/** A directory that CRIU encrypted, or several in a common one, open. One thread must have it for itself. */
export class CriuTree implements ImageSource {
  readonly imageId: string;
  readonly manifest: { readonly inodes: readonly Inode[]; readonly entries: readonly Entry[] };
  readonly shared: SharedTree;
  /** The files that cannot be read, and why; empty where another thread has opened the tree. */
  readonly problems: ScannedTree['problems'];
  readonly #root: Directory;
  readonly #secrets: Uint8Array;
  /** By directory, the pages that {@link openDirectories} had checked. */
  readonly #checked = new Map<number, CheckedPages>();

  private constructor(root: Directory, secrets: Uint8Array, shared: SharedTree, problems: ScannedTree['problems']) {
    this.imageId = shared.imageId;
    this.manifest = { inodes: shared.inodes.map(withBuffers), entries: shared.entries.map(named) };
    this.shared = shared;
    this.problems = problems;
    this.#root = root;
    this.#secrets = secrets;
  }

  /**
   * Decrypts the small images of a tree, and indexes the rest.
   * @param secrets of all encrypted directories, as `unlockTree` gives them; not copied
   * @throws CkptfsError `not-an-image`, `unsupported-source`, `damaged`, `io`; `wrong-image` when it has other
   *   directories than the secrets are for
   */
  static open(place: StorePlace, secrets: Uint8Array): CriuTree {
    const root = rootOf(place);
    try {
      const { imageId } = identifyTree(root);
      const { problems, ...scanned } = scanTree(root, secrets);
      return new CriuTree(root, secrets, { imageId, ...scanned }, problems);
    } catch (error) {
      root.close();
      throw error;
    }
  }

  /** Opens in another thread what the first one has opened. @throws CkptfsError `io` */
  static attach(place: StorePlace, secrets: Uint8Array, shared: SharedTree): CriuTree {
    return new CriuTree(rootOf(place), secrets, shared, []);
  }

  /** Wipes the small images, for all threads. Must be called once, when all have closed their readers. */
  static wipeShared({ directories }: SharedTree): void {
    for (const { images } of directories) if ('layer' in images) CriuLayer.wipeShared(images.layer);
  }

  /** Whether all small images are kept out of swap space. */
  get isLocked(): boolean {
    return this.shared.directories.every(({ images }) => !('layer' in images) || images.layer.isLocked);
  }

  /** Says of what is served that it was not encrypted. It may be that of a page server, or put there by anyone. */
  *weaknesses(): Generator<string> {
    for (const { path, images } of this.shared.directories) {
      const where = path.length === 0 ? 'the directory' : quotedPath(Buffer.concat(joined(path)));
      if ('clear' in images) {
        if (images.clear.length > 0) yield `${where} is served as it is: it has no cipher.img`;
      } else if (hasClearPages(images.layer)) {
        yield `memory in ${where} is not encrypted: a page server, or anyone, may have written it`;
      }
    }
  }

  openReader(_cacheSize: number, counters: Counters): SourceReader {
    return new TreeReader(this.#root, this.#secrets, this.shared.directories, counters);
  }

  /**
   * Reads each file from its start to its end, and fails at the end of pages of memory which are not those that were
   * checked.
   */
  openCheckedReader(counters: Counters): SourceReader {
    return new TreeReader(this.#root, this.#secrets, this.shared.directories, counters, this.#checked);
  }

  /** Opens one directory after the other, each until the next one is asked for. @throws CkptfsError `damaged`, `io` */
  *openDirectories(): Generator<OpenedDirectory> {
    for (const [object, { path, secretsAt, images }] of this.shared.directories.entries()) {
      if ('clear' in images) {
        yield { path, layer: undefined, names: images.clear.map(({ name }) => name) };
        continue;
      }
      const directory = openDirectoryAt(this.#root, path);
      const at = secretsAt ?? 0;
      const layer = CriuLayer.attach(directory, this.#secrets.subarray(at, at + LAYER_SECRETS_SIZE), images.layer);
      try {
        yield { path, layer };
      } finally {
        this.#checked.set(object, layer.checkedPages);
        layer.close();
        directory.close();
      }
    }
  }

  close(): void {
    this.#root.close();
  }
}

/** A directory of a tree: encrypted, or with files as they are. */
export type OpenedDirectory = { readonly path: readonly Uint8Array[] } & (
  | { readonly layer: CriuLayer }
  | { readonly layer: undefined; readonly names: readonly Uint8Array[] }
);

/** Directories that a thread keeps open, each with its files and buffers. */
const MAX_OPEN_DIRECTORIES = 8;

/** Reads the files of a tree. Directories are opened when something in them is read. */
class TreeReader implements SourceReader {
  readonly #root: Directory;
  readonly #secrets: Uint8Array;
  readonly #directories: readonly SharedDirectory[];
  readonly #counters: Counters;
  readonly #checked: ReadonlyMap<number, CheckedPages>;
  readonly #open = new LRUCache<number, { readonly directory: Directory; readonly images: ImagesReader }>({
    max: MAX_OPEN_DIRECTORIES,
    dispose: ({ directory, images }) => {
      images.close();
      directory.close();
    },
  });

  constructor(
    root: Directory,
    secrets: Uint8Array,
    directories: readonly SharedDirectory[],
    counters: Counters,
    checked: ReadonlyMap<number, CheckedPages> = new Map(),
  ) {
    this.#root = root;
    this.#secrets = secrets;
    this.#directories = directories;
    this.#counters = counters;
    this.#checked = checked;
  }

  read({ size, extents: [extent] }: FileInode, offset: number, length: number, out: Region, outOffset: number): number {
    const end = Math.min(offset + length, size);
    if (extent === undefined || end <= offset) return 0;
    const { object, objectOffset: file } = extent;
    try {
      const images = (this.#open.get(object) ?? this.#attach(object)).images;
      const count = images.read(file, offset, end - offset, out, outOffset);
      this.#counters.add('storedBytesRead', count);
      return count;
    } catch (error) {
      if (error instanceof CkptfsError && error.code === 'damaged') this.#counters.add('authenticationFailures', 1);
      throw error;
    }
  }

  close(): void {
    this.#open.clear();
  }

  #attach(index: number): { readonly directory: Directory; readonly images: ImagesReader } {
    const shared = this.#directories[index];
    if (shared === undefined) throw new CkptfsError('internal', `no directory ${index}`);
    const { path, secretsAt, images } = shared;
    const directory = openDirectoryAt(this.#root, path);
    try {
      const own =
        secretsAt === undefined ? undefined : this.#secrets.subarray(secretsAt, secretsAt + LAYER_SECRETS_SIZE);
      const opened = { directory, images: attachImages(directory, own, images, this.#checked.get(index)) };
      this.#open.set(index, opened);
      return opened;
    } catch (error) {
      directory.close();
      throw error;
    }
  }
}

function rootOf(place: StorePlace): Directory {
  return typeof place === 'string' ? openTreeRoot(place) : Directory.fromDescriptor(place.fd, place.path).reopen();
}

function joined(path: readonly Uint8Array[]): Uint8Array[] {
  return path.flatMap((name, at) => (at === 0 ? [name] : [Buffer.from('/'), name]));
}

/** A clone has other arrays of bytes than buffers. */
function withBuffers(inode: Inode): Inode {
  return inode.type === 'symlink' ? { ...inode, target: Buffer.from(inode.target) } : inode;
}

function named(entry: Entry): Entry {
  return { ...entry, name: Buffer.from(entry.name) };
}
