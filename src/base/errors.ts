import { type ErrnoName, errnoName, isErrnoName } from './errno.ts';
import { type Aftermath, type ErrorData, readAftermath, readErrorData } from './error-data.ts';

/**
 * Every error that ckptfs reports is a CkptfsError with one of these codes. No code ever changes its meaning, and
 * docs/cli.md lists the exit number of each.
 */
export const errorCodes = [
  /** A caller passed an argument outside its documented range. */
  'bad-argument',
  /** A path does not exist, or cannot be read or written. */
  'io',
  /** The destination exists and is not empty. */
  'exists',
  /** The source has a file that an image cannot hold: a device, or one that is too large. */
  'unsupported-source',
  /** The source changed while it was being read. */
  'source-changed',
  /** A source of a key cannot be read, or what it has is not a key. */
  'bad-key-file',
  /** No key was given, and none is known for this image. */
  'no-key',
  /** None of the given keys opens a slot of this image. */
  'wrong-key',
  /** A certificate or a signature is not accepted. */
  'untrusted',
  /** A policy of this host, or one that was named, does not allow it. */
  'forbidden-by-policy',
  /** A server or a command that has the key does not answer, refuses, or answers something else. */
  'key-unavailable',
  /** A remote store does not answer, refuses, or answers something else than it must. */
  'store-unavailable',
  /** The directory is not a ckptfs image. */
  'not-an-image',
  /** The image was never sealed: its creation was interrupted. */
  'unfinished',
  /** The image was being written and has not been sealed since. */
  'unsealed',
  /** Another process is writing the image; or reading it, where it is to be written. */
  'locked',
  /** The image is of a format this version does not know. */
  'unsupported-format',
  /** Stored bytes fail authentication or do not parse. */
  'damaged',
  /** The image is whole, but its directory has files that are not part of it. */
  'unexpected-files',
  /** The image is not the one that was asked for. */
  'wrong-image',
  /** A path inside the image does not exist or has the wrong type. */
  'no-such-file',
  /** A mount could not be made, or was refused. */
  'mount-failed',
  /** The mount point has a mount of ckptfs already. */
  'already-mounted',
  /** The path is not a ckptfs mount. */
  'not-mounted',
  /** The mount is in use. */
  'busy',
  /** A process that serves a mount is there, but does not answer: stopped, frozen, or too slow. */
  'no-answer',
  /** This host lacks something: /dev/fuse, fusermount3, a kernel feature, a permission. */
  'missing-feature',
  /** The operation was cancelled by a signal. */
  'interrupted',
  /** An error in ckptfs itself. */
  'internal',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** What an error can be made with, beside its code and message. */
export interface ErrorDetails<Code extends ErrorCode = ErrorCode> {
  /** The file, object or mount that the error is about. */
  readonly path?: string;
  readonly data?: ErrorData<Code>;
  readonly aftermath?: Aftermath;
  readonly cause?: unknown;
}

/** Makes `data` required for a code that has a fact which may not be missing. */
type DetailsArguments<Code extends ErrorCode> = [ErrorData<Code>] extends [never]
  ? [details?: ErrorDetails<Code>]
  : Record<never, never> extends ErrorData<Code>
    ? [details?: ErrorDetails<Code>]
    : [details: ErrorDetails<Code> & { readonly data: ErrorData<Code> }];

class ErrorOf<Code extends ErrorCode> extends Error {
  override readonly name = 'CkptfsError';
  readonly code: Code;
  readonly path: string | undefined;
  /** The facts that come with the code. They may be missing if another version of ckptfs reported the error. */
  readonly data: ErrorData<Code> | undefined;
  /** What the failed operation leaves behind, where that needs attention. */
  readonly aftermath: Aftermath | undefined;

  constructor(code: Code, message: string, { path, data, aftermath, cause }: ErrorDetails<Code> = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.path = path;
    this.data = data;
    this.aftermath = aftermath;
  }

  /** Makes an error of the same code and data, caused by this one, with another message. */
  reworded(message: string, { path = this.path, aftermath = this.aftermath }: RewordedDetails = {}): CkptfsError {
    return makeError(this.code, message, { path, data: this.data, aftermath, cause: this });
  }
}

interface RewordedDetails {
  readonly path?: string | undefined;
  readonly aftermath?: Aftermath | undefined;
}

interface LooseDetails extends RewordedDetails {
  readonly data?: unknown;
  readonly cause?: unknown;
}

/** Makes an error of a code that the compiler does not know. The caller ensures that the data belong to the code. */
function makeError(code: ErrorCode, message: string, { path, data, aftermath, cause }: LooseDetails): CkptfsError {
  const details = {
    ...(path === undefined ? {} : { path }),
    ...(data === undefined ? {} : { data }),
    ...(aftermath === undefined ? {} : { aftermath }),
    cause,
  };
  return new ErrorOf<ErrorCode>(code, message, details as ErrorDetails<ErrorCode>) as CkptfsError;
}

/** Every error that ckptfs reports. `code` tells which `data` it has, by {@link ErrorData}. */
export type CkptfsError<Code extends ErrorCode = ErrorCode> = { [Each in Code]: ErrorOf<Each> }[Code];

interface CkptfsErrorConstructor {
  new <Code extends ErrorCode>(code: Code, message: string, ...details: DetailsArguments<Code>): ErrorOf<Code>;
  /** What `instanceof` narrows to: the union, so that a `switch` over `code` narrows `data`. */
  readonly prototype: CkptfsError;
}

export const CkptfsError: CkptfsErrorConstructor = ErrorOf;

/**
 * Returns the errno name (`ENOENT`, …) of a system error of Node, by its number if it has one, or else its `code`.
 * Returns undefined for anything else.
 */
export function systemErrorName(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  const named = 'errno' in error && typeof error.errno === 'number' ? errnoName(-error.errno) : undefined;
  return named ?? (typeof error.code === 'string' ? error.code : undefined);
}

/**
 * Returns the errno name (`ENOSPC`, `EDQUOT`, `EIO`, …) of the system call that caused a CkptfsError of code `io`, or
 * undefined when it is another error, or no system call failed.
 */
export function ioErrorName(error: unknown): ErrnoName | undefined {
  const name = error instanceof CkptfsError && error.code === 'io' ? error.data?.errno : undefined;
  return name !== undefined && isErrnoName(name) ? name : undefined;
}

const FULL_ERRNOS: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Tells whether a CkptfsError is due to a full disk, an exhausted quota, or the limit of file size. */
export function isFull(error: unknown): boolean {
  return FULL_ERRNOS.has(ioErrorName(error));
}

const ERRNO_TEXTS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  ENOSPC: 'no space left on the device',
  EDQUOT: 'disk quota exceeded',
  EFBIG: 'file too large (see the limit of file size, ulimit -f)',
  ESTALE: 'stale file handle',
  EREMOTEIO: 'remote input/output error',
  EIO: 'input/output error',
  EISDIR: 'is a directory',
  ENOTDIR: 'not a directory',
  EROFS: 'read-only file system',
  EMFILE: 'too many open files',
  EEXIST: 'already exists',
  ELOOP: 'is a symbolic link, or too many of them',
};

/** Makes an error of code `io` of the system error that `what` on `path` met. Returns a CkptfsError as it is. */
export function ioError(what: string, path: string, cause: unknown): CkptfsError {
  if (cause instanceof CkptfsError) return cause;
  const name = systemErrorName(cause);
  const text = name === undefined ? String(cause) : (ERRNO_TEXTS[name] ?? name);
  const data = name === undefined ? {} : { errno: name };
  return new CkptfsError('io', `cannot ${what} ${path}: ${text}`, { path, data, cause });
}

/** A CkptfsError as plain data, for another thread or process. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly path?: string;
  readonly data?: unknown;
  readonly aftermath?: unknown;
  readonly stack?: string;
}

/** Turns anything thrown into plain data. What is not a CkptfsError becomes code `internal`. */
export function toPlainError(error: unknown): PlainError {
  if (!(error instanceof CkptfsError)) {
    const stack = error instanceof Error && error.stack !== undefined ? { stack: error.stack } : {};
    return { code: 'internal', message: error instanceof Error ? error.message : String(error), ...stack };
  }
  const { code, message, path, data, aftermath, stack } = error;
  return {
    code,
    message,
    ...(path === undefined ? {} : { path }),
    ...(data === undefined ? {} : { data }),
    ...(aftermath === undefined ? {} : { aftermath }),
    ...(stack === undefined ? {} : { stack }),
  };
}

/** Tells whether a value from another process, which may be anything, has the shape of a PlainError. */
export function isPlainError(value: unknown): value is PlainError {
  if (typeof value !== 'object' || value === null) return false;
  const { code, message, path, stack }: Partial<Record<keyof PlainError, unknown>> = value;
  const isOptionalText = (text: unknown): boolean => text === undefined || typeof text === 'string';
  const isKnown = errorCodes.some((known) => known === code);
  return isKnown && typeof message === 'string' && isOptionalText(path) && isOptionalText(stack);
}

/** Makes the error again. Data that do not belong to the code, as another version may send them, are left out. */
export function fromPlainError({ code, message, path, data, aftermath, stack }: PlainError): CkptfsError {
  return makeError(code, message, {
    path,
    data: readErrorData(code, data),
    aftermath: readAftermath(aftermath),
    cause: stack,
  });
}
