import { CkptfsError, ioError, systemErrorName } from '../base/errors.ts';
import { Directory } from '../base/linux/directory.ts';

/** Where a local image is: a path as a user writes it, or a directory that another thread holds open. */
export type LocalPlace = string | HeldDirectory;

/** A directory that stands for an image elsewhere. */
export interface NamedDirectory {
  readonly path: string;
  /** What messages call it. */
  readonly name: string;
}

export interface HeldDirectory {
  /** Must stay open until the thread that gets it has opened it again. */
  readonly fd: number;
  /** For messages, if the kernel does not know the path. */
  readonly path: string;
  /** What messages call it, whatever its path is. */
  readonly name?: string | undefined;
}

/**
 * Holds the directory of an image (format.md §2), and `objects` in it. All work is done in these directories, whatever
 * happens to their names meanwhile. Nothing below them is followed: no symbolic link and no mount point.
 */
export class ImageDirectory {
  readonly root: Directory;
  /** What messages call it, if that is not its path. */
  readonly name: string | undefined;
  #objects: Directory | undefined;

  constructor(root: Directory, name?: string) {
    this.root = root;
    this.name = name;
  }

  /** Opens the directory of an image. @throws CkptfsError `not-an-image` when it is not a directory, `io` */
  static open(place: LocalPlace | NamedDirectory): ImageDirectory {
    const { path, name: called } = typeof place === 'string' ? { path: place } : place;
    try {
      return new ImageDirectory(openRoot(place), called);
    } catch (cause) {
      const name = systemErrorName(cause);
      if (name === 'ENOENT')
        throw new CkptfsError('io', `${path} does not exist`, { path, data: { errno: name }, cause });
      if (name !== 'ENOTDIR') throw ioError('open', path, cause);
      throw new CkptfsError('not-an-image', `${path} is not a ckptfs image: it is not a directory`, {
        path,
        data: { reason: 'not-a-directory' },
        cause,
      });
    }
  }

  close(): void {
    this.#objects?.close();
    this.root.close();
  }

  /** Returns the path of something in the image, as it is now, for messages. */
  pathOf(...names: readonly string[]): string {
    return [this.name ?? this.root.path(), ...names].join('/');
  }

  /** Returns the path of an object, for messages. */
  objectPath(id: string): string {
    return this.pathOf('objects', prefixOf(id), id);
  }

  /**
   * Returns the directory of all objects, held open until {@link close}; undefined when there is none.
   * @param create whether to make it
   * @throws CkptfsError `damaged` when something else has that name, `io`
   */
  objects(create = false): Directory | undefined {
    this.#objects ??= this.#open(this.root, 'objects', create, () => this.pathOf('objects'));
    return this.#objects;
  }

  /** Like {@link objects}, for the directory of one prefix. It is opened anew each time, and the caller closes it. */
  openPrefix(prefix: string, create = false): Directory | undefined {
    const objects = this.objects(create);
    return objects && this.#open(objects, prefix, create, () => this.pathOf('objects', prefix));
  }

  /** Runs `use` with the directory that an object is in. @throws CkptfsError `damaged` and `io` as {@link objects} */
  withPrefixOf<T>(id: string, use: (directory: Directory | undefined) => T, create = false): T {
    const directory = this.openPrefix(prefixOf(id), create);
    try {
      return use(directory);
    } finally {
      directory?.close();
    }
  }

  #open(parent: Directory, name: string, create: boolean, where: () => string): Directory | undefined {
    try {
      return openBelow(parent, name, create);
    } catch (cause) {
      const what = isBarred(cause) ? describeBar(parent, name, cause) : undefined;
      if (what === undefined) throw ioError('open', where(), cause);
      throw new CkptfsError('damaged', `${where()} is ${what}, not a directory of the image`, { path: where(), cause });
    }
  }
}

/** Returns the directory, below `objects`, in which an object is. */
export function prefixOf(id: string): string {
  return id.slice(0, 2);
}

function openRoot(place: LocalPlace | NamedDirectory): Directory {
  if (typeof place === 'string') return Directory.open(place);
  if (!('fd' in place)) return Directory.open(place.path);
  return Directory.fromDescriptor(place.fd, place.path).reopen();
}

/** Opens a directory below another. Returns undefined if it does not exist and is not to be made. */
function openBelow(parent: Directory, name: string, create: boolean): Directory | undefined {
  try {
    return parent.openDirectory(name, { sameMount: true });
  } catch (error) {
    if (systemErrorName(error) !== 'ENOENT') throw error;
    if (!create) return undefined;
  }
  try {
    parent.mkdir(name, 0o700);
  } catch (error) {
    // Another thread that creates objects made it first.
    if (systemErrorName(error) !== 'EEXIST') throw error;
  }
  return parent.openDirectory(name, { sameMount: true });
}

/** Returns whether opening a directory failed because its name leads to something that is not followed. */
function isBarred(error: unknown): boolean {
  const name = systemErrorName(error);
  return name === 'ENOTDIR' || name === 'ELOOP' || name === 'EXDEV';
}

function describeBar(parent: Directory, name: string, error: unknown): string {
  if (systemErrorName(error) === 'EXDEV') return 'a mount point';
  return parent.lstat(name)?.isSymbolicLink() === true ? 'a symbolic link' : 'a file';
}
