import { CkptfsError } from '../../base/errors.ts';
import { DirectoryEvents } from '../../base/linux/directory-events.ts';
import { checkCompression } from '../../compression/check-compression.ts';
import { DEFAULT_CIPHER } from '../../format/ciphers.ts';
import { DEFAULT_SUITE } from '../../format/suites.ts';
import { refusePrompts } from '../../keys/sources/prompt.ts';
import { TakingPlace } from '../../library/take-archive.ts';
import { WatchedDirectory } from '../../library/watched-directory.ts';
import { Log } from '../../serve/daemon/log.ts';
import { ServiceManager } from '../../serve/daemon/service-manager.ts';
import type { LogFormat } from '../../serve/handover/daemon-config.ts';
import { cancellable, EndedBySignal } from '../cancellation.ts';
import { EXIT_OK } from '../exit-codes.ts';
import { hintFor } from '../hints.ts';
import type { HeldKeys } from '../options/held-keys.ts';
import { withKeys } from '../options/image-arguments.ts';
import { chosenCompression } from '../options/new-image-options.ts';
import { withSigners } from '../options/signing-options.ts';
import { exitCodeOf } from '../terminal/messages.ts';
import { ArchiveQueue, type QueueArguments } from './archive-queue.ts';

/** Arguments of `ckptfs watch`. */
export interface WatchArguments extends QueueArguments {
  readonly DIR: string;
  readonly into: string;
  readonly once: boolean;
  readonly logFormat: LogFormat | undefined;
}

/**
 * The directory is looked at so often although no event tells of anything: there is none of a mount over it, nor of a
 * move of a directory above. What failed is tried again then, too.
 */
const LOOK_MILLISECONDS = 60_000;
/** `-`, `stdin:`, `fd:3`, `/dev/fd/63` and the like, also after a scheme. */
const READ_ONCE = /^-$|^(?:stdin|fd):|(?:^|:)\/(?:dev\/(?:stdin|fd\/)|proc\/self\/fd\/)/;
const LEFT = 'An archive that was not done stays as it is.';

/** Encrypts the archives of a directory, as they appear or those that are there. Returns the exit code. */
export async function watchArchives(args: WatchArguments): Promise<number> {
  refuseReadOnce(args);
  // No user is there to answer when an archive appears.
  refusePrompts();
  checkCompression(chosenCompression(args.compress).compression);
  await withKeys(args, (keys) => checkKeys(keys, args), 'make');
  await withSigners(args, async () => undefined);
  const log = new Log(undefined, undefined, hintFor, args.logFormat);
  const watched = WatchedDirectory.at(args.DIR);
  const place = TakingPlace.open(args.into);
  const queue = new ArchiveQueue(watched, place, log, args);
  try {
    return await cancellable(LEFT, async ({ signal, onCancellable }) => {
      onCancellable(true);
      if (args.once) return once(queue, signal);
      return watch(queue, watched, log, signal);
    });
  } catch (error) {
    // A signal is how a service ends.
    if (!args.once && error instanceof EndedBySignal && !error.isStuck) return EXIT_OK;
    throw error;
  } finally {
    place.close();
  }
}

async function once(queue: ArchiveQueue, signal: AbortSignal): Promise<number> {
  await queue.takeAll(signal);
  const [first] = queue.failures;
  return first === undefined ? EXIT_OK : exitCodeOf(first);
}

async function watch(queue: ArchiveQueue, watched: WatchedDirectory, log: Log, signal: AbortSignal): Promise<number> {
  const manager = serviceManager(log);
  const events = watched.use((directory) => new DirectoryEvents(directory));
  try {
    manager.ready(`watching ${watched.path}`);
    for (let told: string | undefined; ; ) {
      await queue.takeAll(signal);
      if (queue.summary !== told) manager.status(queue.summary);
      told = queue.summary;
      await events.next(signal, LOOK_MILLISECONDS);
      if (signal.aborted) throw new CkptfsError('interrupted', 'interrupted by a signal');
    }
  } finally {
    manager.stopping(queue.summary);
    await events.close();
  }
}

function serviceManager(log: Log): ServiceManager {
  const { NOTIFY_SOCKET: socket } = process.env;
  // For this process alone, not for commands that are run for a key.
  delete process.env['NOTIFY_SOCKET'];
  return new ServiceManager(socket, (text) => log.warning(text));
}

/** Refuses, before there is an archive, what would be refused for each. */
async function checkKeys(keys: HeldKeys, { suite = DEFAULT_SUITE, cipher = DEFAULT_CIPHER }: WatchArguments) {
  if (keys.makesDefault) {
    throw new CkptfsError('bad-argument', 'no recipient is given for the images', { data: { reason: 'no-recipient' } });
  }
  await keys.prepareForCreating({ suite, cipher });
}

/** @throws CkptfsError `bad-argument` for a key that can be read once only: it is read for each archive */
function refuseReadOnce(args: WatchArguments): void {
  const { keyFile, key, privateKey, passphraseFile, recipient, caFile, crlFile } = args;
  const { sign, signCert, signPassphraseFile } = args;
  const once = [
    keyFile,
    key,
    privateKey,
    passphraseFile,
    recipient,
    caFile,
    crlFile,
    sign,
    signCert,
    signPassphraseFile,
  ]
    .flatMap((given) => given ?? [])
    .find((text) => READ_ONCE.test(text));
  if (once === undefined) return;
  throw new CkptfsError('bad-argument', `the key is read for each archive, and ${once} can be read once only`);
}
