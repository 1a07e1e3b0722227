import './missing-directory.ts';
import { closeSync, statSync, writeSync } from 'node:fs';
import { ioError, systemErrorName } from '../base/errors.ts';
import { closeOnExec } from '../base/linux/descriptors.ts';
import { exitNow } from '../base/linux/processes.ts';
import { hardenProcess } from '../crypto/hardening.ts';
import type { Secret } from '../crypto/secret.ts';
import { unlockImage } from '../library/unlock.ts';
import { isRemoteAddress } from '../remote/shared/remote-address.ts';
import { canMountHere, type MountedHere, mountHere } from '../serve/one-process/mount-here.ts';
import { prepareForCommand } from './command.ts';
import { commandTexts } from './command-names.ts';
import { mayBeConfigured, mayHavePolicy } from './config/places.ts';
import { exitCodeOfSignal } from './exit-codes.ts';
import { hintFor } from './hints.ts';
import { omitUndefined } from './omit-undefined.ts';
import { HeldKeys, hasOthers, type KeyOrigin } from './options/held-keys.ts';
import { lazyOptionIn } from './options/lazy-options.ts';
import { type MountArguments, mountRequest, withMountArguments } from './options/mount-arguments.ts';
import { parsePlainly } from './options/plain-parser.ts';
import { exitCodeOf, failureJson, failureLine, messageJson, resultJson, warningLine } from './terminal/messages.ts';

const [STANDARD_OUTPUT, STANDARD_ERROR] = [1, 2];
const SIGPIPE = 13;
/** What stands for standard input as the path of a key file. */
const STANDARD_INPUT = '-';

/**
 * Mounts as the launcher `bin/ckptfs` asks: the process that opens the key slot goes on as the daemon, which saves the
 * start of a second Node. Only a plain mount that succeeds is made so. In every other case this process ends and has
 * said nothing, and the launcher runs the ordinary command, which makes the mount another way or says what is wrong.
 * @param words what follows `mount` on the command line
 * @param launcher the descriptor of a pipe to which the exit code goes
 * @param lingerSeconds only for tests, see DaemonConfig
 */
export async function mountForLauncher(
  words: readonly string[],
  launcher: number,
  lingerSeconds?: number,
): Promise<never> {
  try {
    const inherited = closeOnExec().filter((fd) => fd !== launcher);
    const weaknesses = hardenProcess();
    await mountPlainly(words, { launcher, inherited, weaknesses, ...omitUndefined({ lingerSeconds }) });
  } catch {
    // The ordinary command will say what is wrong.
  }
  exitNow(0);
}

interface Start {
  readonly launcher: number;
  readonly inherited: readonly number[];
  readonly weaknesses: readonly string[];
  readonly lingerSeconds?: number;
}

async function mountPlainly(words: readonly string[], { launcher, ...start }: Start): Promise<void> {
  const args = parsePlainly(commandTexts.mount.usage, words, withMountArguments);
  if (args === undefined || args.foreground || isRemoteAddress(args.ENC)) return;
  const ofNewImages = [args.suite, args.cipher, args.chunkSize, args.compress];
  if (ofNewImages.some((value) => value !== undefined)) return;
  await prepareForCommand(args);
  const { image, mount, logFile } = await mountRequest(args);
  if (mayHavePolicy() || image.policy !== undefined || (image.keyFile.length === 0 && mayBeConfigured())) return;
  if (
    image.verify ||
    hasOthers(image) ||
    lazyOptionIn(image) !== undefined ||
    demandsSignature(image) ||
    mount.auditLog !== undefined ||
    mount.lease !== undefined
  )
    return;
  if (!image.keyFile.every(isRegularFile) || !canMountHere(mount)) return;
  const { imageKey, origin, warnings } = await unlocked(image);
  await mountHere({
    mount,
    logFile,
    imageKey,
    origin,
    ...start,
    hintFor,
    tell: (mounted) => tell(mounted, args, warnings),
    release: (exitCode) => released(launcher, exitCode),
  });
}

type Demands = Awaited<ReturnType<typeof mountRequest>>['image'];

/** Returns whether a signature has to be verified first, or options for that were given in vain. */
function demandsSignature({ requireSignature, trusted, minEpoch, epochFile }: Demands): boolean {
  return requireSignature || trusted.length > 0 || minEpoch !== undefined || epochFile !== undefined;
}

/** Returns whether reading a key takes nothing away that the ordinary command would need, as with a pipe. */
function isRegularFile(path: string): boolean {
  return path !== STANDARD_INPUT && statSync(path).isFile();
}

/** Opens a key slot. The wrapping keys are wiped when it returns. */
async function unlocked(image: {
  readonly ENC: string;
  readonly keyFile: readonly string[];
  readonly imageId: string | undefined;
}): Promise<{ readonly imageKey: Secret; readonly origin: KeyOrigin; readonly warnings: readonly string[] }> {
  const keys = await HeldKeys.read({ keyFile: image.keyFile });
  try {
    const options = { keys: keys.forOpening, keptKey: keys.keptKey, imageId: image.imageId, onOpening: keys.onOpening };
    const imageKey = await unlockImage(image.ENC, options);
    return { imageKey, origin: keys.origin, warnings: keys.warnings };
  } finally {
    keys.wipe();
  }
}

/** Prints what the ordinary command prints. Returns the exit code. */
function tell(mounted: MountedHere, { json, quiet }: MountArguments, keyWarnings: readonly string[]): number {
  const inWords = json ? (text: string) => messageJson('warning', text) : warningLine;
  const { warnings, ...result } = mounted;
  try {
    if (!quiet) for (const warning of [...keyWarnings, ...warnings]) print(STANDARD_ERROR, inWords(warning));
    if (json) print(STANDARD_OUTPUT, resultJson(result));
    return 0;
  } catch (cause) {
    if (systemErrorName(cause) === 'EPIPE') return exitCodeOfSignal(SIGPIPE);
    const failure = ioError('write to', 'standard output', cause);
    const code = exitCodeOf(failure);
    try {
      print(STANDARD_ERROR, json ? failureJson(failure, code) : failureLine(failure));
    } catch {
      // Standard error is closed. The exit code remains.
    }
    return code;
  }
}

/** Writes by the descriptor itself: streams of Node change the caller's own, and do not undo it in a daemon. */
function print(fd: number, line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}

function released(launcher: number, exitCode: number): boolean {
  try {
    writeSync(launcher, `${exitCode}\n`);
    return true;
  } catch {
    return false;
  } finally {
    closeSync(launcher);
  }
}
