import { Errno, type ErrnoName } from '../base/errno.ts';
import { CkptfsError, ioErrorName, isFull } from '../base/errors.ts';
import { quotedPath } from '../base/printable.ts';
import { ROOT_INODE } from '../format/manifest.ts';

/** Receives a line, without line breaks, for each operation that failed because of what is stored, or of the store. */
export type FaultListener = (line: string) => void;

/**
 * Errors of the store that a program would take for something about its own request, such as the name of its own file,
 * or the kernel for something about this file system, as it does ENOSYS. They become EIO.
 */
const MISLEADING: ReadonlySet<ErrnoName> = new Set([
  'ENOENT',
  'EEXIST',
  'ENOTDIR',
  'EISDIR',
  'ENOTEMPTY',
  'ENAMETOOLONG',
  'ELOOP',
  'EXDEV',
  'ENODATA',
  'EINVAL',
  'EBADF',
  'EFAULT',
  'EINTR',
  'EAGAIN',
  'ENOSYS',
  'EOPNOTSUPP',
  'ENOTSUP',
]);

/** Returns the errno of the system call that failed, or EIO if it would mislead or no system call failed. */
function errnoOfStore(error: CkptfsError): Errno {
  const name = ioErrorName(error);
  return Errno.of(name === undefined || MISLEADING.has(name) ? 'EIO' : name);
}

/** Gives a program the errno of what an operation on an image threw, and the log the rest. */
export class StoreFaults {
  readonly #pathOf: (node: number) => Buffer;
  readonly #onFault: FaultListener;
  readonly #errnoOf: (error: CkptfsError) => Errno;

  /** @param pathOf returns an empty path for the root, and for a node without a name */
  constructor(
    pathOf: (node: number) => Buffer,
    onFault: FaultListener,
    errnoOf: (error: CkptfsError) => Errno = errnoOfStore,
  ) {
    this.#pathOf = pathOf;
    this.#onFault = onFault;
    this.#errnoOf = errnoOf;
  }

  /**
   * Runs `action`.
   * @param what names the action for the log, which says "cannot …"
   * @throws Errno instead of each error but broken invariants, which are thrown as they are
   */
  attempt<T>(what: string, node: number, action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw this.told(what, node, error);
    }
  }

  /** Logs an error as {@link attempt} does, and returns what is to be thrown instead of it. */
  told(what: string, node: number, error: unknown): unknown {
    if (!(error instanceof CkptfsError) || error.code === 'internal') return error;
    const errno = this.#errnoOf(error);
    // An errno that says that the store is full leaves nothing for the log to add.
    if (errno.code === 'EIO' || !isFull(error)) {
      this.#onFault(`cannot ${what} ${this.#nameOf(node)}: ${error.message}`);
    }
    return errno;
  }

  #nameOf(node: number): string {
    const path = this.#pathOf(node);
    if (path.length > 0) return quotedPath(path);
    return node === ROOT_INODE ? '"/"' : 'a file without a name';
  }
}
