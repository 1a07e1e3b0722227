/** Why a file operation is refused, by the name of its errno. Failures of the store are CkptfsErrors instead. */
export type FileErrorCode =
  | 'EPERM'
  | 'ENOENT'
  | 'E2BIG'
  | 'ENAMETOOLONG'
  | 'EEXIST'
  | 'ENOTDIR'
  | 'EISDIR'
  | 'EINVAL'
  | 'EFBIG'
  | 'ENOSPC'
  | 'ENOTEMPTY'
  | 'ENODATA';

/** A file operation that is refused and has changed nothing. There is one instance per code, without a stack trace. */
export class FileError extends Error {
  override readonly name = 'FileError';
  readonly code: FileErrorCode;

  private constructor(code: FileErrorCode) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(code);
    Error.stackTraceLimit = limit;
    this.code = code;
  }

  static readonly #all = new Map<FileErrorCode, FileError>();

  static of(code: FileErrorCode): FileError {
    const known = FileError.#all.get(code);
    if (known !== undefined) return known;
    const made = new FileError(code);
    FileError.#all.set(code, made);
    return made;
  }
}
