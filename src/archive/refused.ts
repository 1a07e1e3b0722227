import { MalformedError } from '../base/bytes.ts';
import type { ErrorData } from '../base/error-data.ts';
import { CkptfsError } from '../base/errors.ts';
import { printable, quotedPath } from '../base/printable.ts';

type Reason = ErrorData<'unsupported-source'>['reason'];

/** Bytes of the name of a member that a message shows. */
const MAX_SHOWN_BYTES = 400;
/** Characters of a message: an archive could have a key or a name of any length. */
const MAX_SHOWN_CHARACTERS = 2000;

/** Makes the error of an archive that is not taken. @param archive its name in messages */
export function refusedArchive(archive: string, reason: Reason, message: string, cause?: unknown): CkptfsError {
  return new CkptfsError('unsupported-source', printable(`${archive} ${message}`, MAX_SHOWN_CHARACTERS), {
    path: archive,
    data: { reason },
    cause,
  });
}

/** Makes the error of an archive that is not taken because of a member. @param name as the archive has it */
export function refusedMember(archive: string, name: Uint8Array, reason: Reason, message: string): CkptfsError {
  return refusedArchive(archive, reason, `is refused: its member ${shownName(name)} ${message}`);
}

/** Runs a parser of something in an archive. @throws CkptfsError `unsupported-source` in place of a MalformedError */
export function parsed<T>(archive: string, where: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause;
    throw refusedArchive(archive, 'malformed-archive', `is malformed ${where}: ${cause.message}`, cause);
  }
}

/** Shows the name of a member in quotation marks. A long one is cut. */
export function shownName(name: Uint8Array): string {
  const shown = quotedPath(name.subarray(0, MAX_SHOWN_BYTES));
  return name.length > MAX_SHOWN_BYTES ? `${shown}…` : shown;
}
