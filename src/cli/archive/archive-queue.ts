import { Deadline } from '../../base/deadline.ts';
import { CkptfsError, fromPlainError, ioError, type PlainError, toPlainError } from '../../base/errors.ts';
import type { Directory } from '../../base/linux/directory.ts';
import type { CipherName } from '../../format/ciphers.ts';
import type { SuiteName } from '../../format/suites.ts';
import { pathIn } from '../../library/archive-names.ts';
import { type FileIdentity, identityOf, isSame } from '../../library/file-identity.ts';
import {
  archivesIn,
  type NewlyTaken,
  resumeTaking,
  type TakenArchive,
  type TakingPlace,
  takeArchive,
} from '../../library/take-archive.ts';
import type { WatchedDirectory } from '../../library/watched-directory.ts';
import type { Log } from '../../serve/daemon/log.ts';
import type { CommonOptions } from '../command.ts';
import { slotsFor } from '../new-image.ts';
import { omitUndefined } from '../omit-undefined.ts';
import { withKeys } from '../options/image-arguments.ts';
import type { KeyArguments, RecipientArguments } from '../options/key-options.ts';
import { type CompressArgument, chosenCompression } from '../options/new-image-options.ts';
import { type SigningArguments, withSigners } from '../options/signing-options.ts';
import { countOf, formatBytes } from '../terminal/quantities.ts';

/** How images of archives are made. */
export interface QueueArguments extends CommonOptions, KeyArguments, RecipientArguments, SigningArguments {
  readonly suite: SuiteName | undefined;
  readonly cipher: CipherName | undefined;
  readonly chunkSize: number | undefined;
  readonly compress: CompressArgument | undefined;
  readonly skipSpecial: boolean;
}

/** An archive that was looked at, and stays. */
interface Waiting {
  /** Undefined when it could not even be looked at. */
  readonly identity: FileIdentity | undefined;
  /** Why it could not be taken; undefined while a process writes it. The error itself holds on to all of its image. */
  readonly error: PlainError | undefined;
  readonly tries: number;
  /** Until it is looked at again. It has to change before, if the fault is its own. */
  readonly wait: Deadline | undefined;
}

/** What might be mended elsewhere is tried again after such a time at the earliest, which doubles each time. */
const FIRST_WAIT_MILLISECONDS = 60_000;
const LONGEST_WAIT_MILLISECONDS = 3_600_000;

/** Takes the archives of a directory one after the other, and remembers which it could not take. */
export class ArchiveQueue {
  readonly #watched: WatchedDirectory;
  readonly #place: TakingPlace;
  readonly #log: Log;
  readonly #args: QueueArguments;
  /** By the name of the archive, in hexadecimal digits. */
  readonly #waiting = new Map<string, Waiting>();
  #taken = 0;

  constructor(watched: WatchedDirectory, place: TakingPlace, log: Log, args: QueueArguments) {
    this.#watched = watched;
    this.#place = place;
    this.#log = log;
    this.#args = args;
  }

  /**
   * Takes every archive that is there and whole. What cannot be taken is logged, and does not stop the others.
   * @throws CkptfsError `interrupted`; `io` when the directories themselves cannot be used
   */
  async takeAll(signal: AbortSignal): Promise<void> {
    await this.#watched.use(async (directory) => {
      this.#resume(directory);
      const names = archivesIn(directory);
      const present = new Set(names.map((name) => name.toString('hex')));
      for (const name of this.#waiting.keys()) if (!present.has(name)) this.#waiting.delete(name);
      for (const name of names) await this.#consider(directory, name, signal);
    });
  }

  /** Why archives that are there could not be taken. */
  get failures(): CkptfsError[] {
    return this.#plainFailures.map(fromPlainError);
  }

  /** One line for a person. */
  get summary(): string {
    const left = this.#plainFailures.length;
    const taken = `watching ${this.#watched.path}: ${countOf(this.#taken, 'archive')} taken`;
    return left === 0 ? taken : `${taken}, ${left} left in clear`;
  }

  get #plainFailures(): PlainError[] {
    return [...this.#waiting.values()].flatMap(({ error }) => error ?? []);
  }

  async #consider(directory: Directory, name: Buffer, signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw interrupted();
    const key = name.toString('hex');
    const before = this.#waiting.get(key);
    const { identity, error: unseen } = look(directory, name);
    if (identity === undefined && unseen === undefined) return;
    const known = before !== undefined && isSame(before.identity, identity) ? before : undefined;
    if (known !== undefined && known.wait?.hasPassed !== true) return;
    const tries = known?.tries ?? 0;
    try {
      if (unseen !== undefined) throw unseen;
      this.#resume(directory);
      const taken = await this.#take(directory, name, signal);
      this.#waiting.delete(key);
      if (taken !== undefined) return this.#report(taken, key, look(directory, name).identity);
      if (before === undefined || before.error !== undefined) {
        this.#info(`${pathOf(directory, name)} is still being written`);
      }
      this.#waiting.set(key, { identity, error: undefined, tries: 0, wait: Deadline.after(FIRST_WAIT_MILLISECONDS) });
    } catch (error) {
      if (signal.aborted) throw interrupted(error);
      if (!(error instanceof CkptfsError)) throw error;
      this.#failed(pathOf(directory, name), error);
      const isWrong = error.code === 'unsupported-source';
      const wait = isWrong ? undefined : waitAfter(tries + 1);
      this.#waiting.set(key, { identity, error: toPlainError(error), tries: tries + 1, wait });
    }
  }

  #take(directory: Directory, name: Buffer, signal: AbortSignal): Promise<NewlyTaken | undefined> {
    const { suite, cipher, chunkSize, compress, skipSpecial } = this.#args;
    const how = { ...omitUndefined({ suite, cipher, chunkSize }), ...chosenCompression(compress) };
    // The keys are read, and certificates are checked, for each archive: they may expire while this runs.
    return withKeys(
      this.#args,
      async (keys) => {
        for (const warning of keys.warnings.splice(0)) this.#warn(warning);
        await keys.prepareForCreating(how);
        // Their warnings were given when it began.
        return withSigners({ ...this.#args, quiet: true }, (signers) =>
          takeArchive(this.#place, directory, name, {
            ...how,
            skipSpecial,
            signers,
            signal,
            makeSlots: slotsFor(keys),
          }),
        );
      },
      'make',
    );
  }

  /** @param identity what has the name of the archive now */
  #report(taken: NewlyTaken, key: string, identity: FileIdentity | undefined): void {
    const { created, otherNames, end, archive, image } = taken;
    for (const path of created.skipped) this.#warn(`${archive}: left out ${path}: a device`);
    if (end.kind === 'kept') {
      // It would be encrypted again and again.
      this.#waiting.set(key, { identity, error: toPlainError(end.error), tries: 0, wait: undefined });
    }
    this.#reportEnd(taken, `${countOf(created.files, 'file')}, ${formatBytes(created.bytes)}`);
    if (end.kind !== 'removed' || otherNames === 0) return;
    this.#log.warning(
      `${archive} had ${countOf(otherNames, 'other name')}, where it stays in clear; its image is ${image}`,
    );
  }

  #reportEnd({ archive, image, imageId, end }: TakenArchive, amount?: string): void {
    const made = `image ${imageId} in ${image} is sealed and verified${amount === undefined ? '' : `, ${amount}`}`;
    this.#taken++;
    if (end.kind === 'removed') this.#info(`${archive} is removed: ${made}`);
    if (end.kind === 'gone') this.#info(`${archive} is not there any more: ${made}`);
    if (end.kind === 'changed') this.#warn(`${archive} was changed or replaced, and stays as another archive: ${made}`);
    if (end.kind !== 'kept') return;
    this.#info(made);
    this.#failed(archive, end.error);
  }

  #resume(directory: Directory): void {
    const taken = resumeTaking(this.#place, directory);
    if (taken !== undefined) this.#reportEnd(taken);
  }

  #failed(archive: string, error: CkptfsError): void {
    const { message } = error;
    const text = message.includes(archive) ? `${message}; it stays in clear` : `${archive} stays in clear: ${message}`;
    this.#log.failure(error.reworded(text));
  }

  #info(text: string): void {
    if (!this.#args.quiet) this.#log.info(text);
  }

  #warn(text: string): void {
    if (!this.#args.quiet) this.#log.warning(text);
  }
}

/** Until an archive is tried again that could not be taken so often. */
function waitAfter(tries: number): Deadline {
  return Deadline.after(Math.min(FIRST_WAIT_MILLISECONDS * 2 ** (tries - 1), LONGEST_WAIT_MILLISECONDS));
}

/** Returns what an archive is, or why that is not known, which must not stop the others; neither if there is none. */
function look(directory: Directory, name: Buffer): { readonly identity?: FileIdentity; readonly error?: CkptfsError } {
  try {
    const found = directory.lstat(name);
    return found === undefined ? {} : { identity: identityOf(found) };
  } catch (cause) {
    return { error: ioError('look at', pathOf(directory, name), cause) };
  }
}

function interrupted(cause?: unknown): CkptfsError {
  return new CkptfsError('interrupted', 'interrupted by a signal', { cause });
}

function pathOf(directory: Directory, name: Buffer): string {
  return pathIn(directory.path(), name);
}
