import { createReadStream, fstatSync, openSync, statSync } from 'node:fs';
import { Socket } from 'node:net';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import type { CipherName } from '../../format/ciphers.ts';
import type { SuiteName } from '../../format/suites.ts';
import { type ArchiveSource, createFromArchive } from '../../library/create-from-archive.ts';
import { checkVacant } from '../../library/new-image.ts';
import type { CommonOptions } from '../command.ts';
import { createAndReport } from '../options/create-and-report.ts';
import { warnAbout, withKeys } from '../options/image-arguments.ts';
import type { KeyArguments, RecipientArguments } from '../options/key-options.ts';
import type { CompressArgument } from '../options/new-image-options.ts';
import { type SigningArguments, withSigners } from '../options/signing-options.ts';
import { STANDARD_INPUT_PATH } from '../words/words.ts';

/** Arguments of `ckptfs encrypt` for an archive. */
interface ArchiveArguments extends CommonOptions, KeyArguments, RecipientArguments, SigningArguments {
  /** A file or a named pipe; {@link STANDARD_INPUT_PATH} for standard input. */
  readonly source: string;
  readonly destination: string;
  readonly json: boolean;
  readonly suite: SuiteName | undefined;
  readonly cipher: CipherName | undefined;
  readonly chunkSize: number | undefined;
  readonly compress: CompressArgument | undefined;
  readonly jobs: number | undefined;
  readonly skipSpecial: boolean;
}

/** Bytes that are read at once from a file. */
const READ_SIZE = 1 << 20;

/** Returns whether a source is an archive. What cannot be looked at is none, and is refused as a directory is. */
export function isArchive(source: string): boolean {
  if (source === STANDARD_INPUT_PATH) return true;
  try {
    const status = statSync(source);
    return status.isFile() || status.isFIFO();
  } catch {
    return false;
  }
}

/** Encrypts an archive into a new image. Returns the exit code. */
export async function encryptArchive(args: ArchiveArguments): Promise<number> {
  const { source, destination, skipSpecial, jobs } = args;
  if (jobs !== undefined) {
    throw new CkptfsError('bad-argument', '--jobs is for a directory; an archive is read in one thread');
  }
  if (source === STANDARD_INPUT_PATH) checkStandardInput(args);
  return withKeys(
    args,
    async (keys) => {
      await warnAbout(keys, args);
      // All that can be refused is, before anyone is asked for a passphrase.
      keys.checkForCreating(args);
      checkVacant(destination);
      const archive = openArchive(source);
      const left = `${destination} is as it was.`;
      return withSigners(args, (signers) =>
        createAndReport({ ...args, left }, keys, (given) =>
          createFromArchive(archive, { ...given, destination, skipSpecial, signers }),
        ),
      );
    },
    'make',
  );
}

/** @throws CkptfsError `bad-argument` for a terminal, or where a key is to come from there as well */
function checkStandardInput({ keyFile = [], key = [], recipient = [] }: ArchiveArguments): void {
  if (process.stdin.isTTY) throw new CkptfsError('bad-argument', 'standard input is a terminal, not an archive');
  const isInput = (text: string): boolean => text === 'stdin:' || text === 'fd:0';
  if (!keyFile.includes('-') && ![...key, ...recipient].some(isInput)) return;
  throw new CkptfsError('bad-argument', 'standard input is the archive: name another source of the key');
}

/** @throws CkptfsError `io` */
function openArchive(source: string): ArchiveSource {
  if (source === STANDARD_INPUT_PATH) return { name: 'standard input', stream: process.stdin };
  try {
    const fd = openSync(source, 'r');
    const name = printable(source);
    const status = fstatSync(fd);
    // A read of a file cannot be interrupted, and one of a pipe may never end.
    if (status.isFIFO()) return { name, stream: new Socket({ fd, readable: true, writable: false }) };
    return { name, stream: createReadStream('', { fd, highWaterMark: READ_SIZE }), totalBytes: status.size };
  } catch (cause) {
    throw ioError('read', source, cause);
  }
}
