import { Errno, type ErrnoName } from '../base/errno.ts';
import { CkptfsError, ioErrorName, isFull } from '../base/errors.ts';
import { quotedPath } from '../base/printable.ts';
import { ROOT_INODE } from '../format/manifest.ts';
import type { WritableImage } from '../image/writable/writable-image.ts';

/** Told, in one line without line breaks, of each operation that failed because of what is stored, or of where. */
export type FaultListener = (line: string) => void;

/** How a program is told that an operation on a writable image failed. */
interface Failure {
  readonly errno: Errno;
  /** What the log should say besides; undefined where the errno says it all. */
  readonly fault: string | undefined;
}

/**
 * Errors of the store that a program would take for something about its own request, its own file's name for one, or that the kernel
 * takes for something about this file system, as it does ENOSYS. They become EIO.
 */
const misleading: ReadonlySet<ErrnoName> = new Set([
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

/** Returns how a program is told what an operation on a writable image threw; undefined for what should never be thrown. */
function failureOf(error: unknown): Failure | undefined {
  if (error instanceof Errno) return { errno: error, fault: undefined };
  if (!(error instanceof CkptfsError) || error.code === 'internal') return undefined;
  const name = ioErrorName(error);
  const errno = Errno.of(name === undefined || misleading.has(name) ? 'EIO' : name);
  return { errno, fault: isFull(error) ? undefined : error.message };
}

/** Gives a program the errno of what an operation on a writable image threw, and the log the rest. */
export class StoreFaults {
  readonly #image: WritableImage;
  readonly #onFault: FaultListener;

  constructor(image: WritableImage, onFault: FaultListener) {
    this.#image = image;
    this.#onFault = onFault;
  }

  /** Runs `action`. @param what it does, for the log: "cannot …" @throws Errno; what should never be thrown as it is */
  attempt<T>(what: string, node: number, action: () => T): T {
    try {
      return action();
    } catch (error) {
      const failure = failureOf(error);
      if (failure === undefined) throw error;
      if (failure.fault !== undefined) this.#onFault(`cannot ${what} ${this.#nameOf(node)}: ${failure.fault}`);
      throw failure.errno;
    }
  }

  #nameOf(node: number): string {
    const path = this.#image.pathOf(node);
    if (path.length > 0) return quotedPath(path);
    return node === ROOT_INODE ? '"/"' : 'a file without a name';
  }
}
