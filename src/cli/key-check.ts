import './missing-directory.ts';
import { createInterface } from 'node:readline';
import { enterDirectory } from '../base/current-directory.ts';
import { Deadline } from '../base/deadline.ts';
import { CkptfsError, toPlainError } from '../base/errors.ts';
import { secondsSinceBoot } from '../base/linux/boot-clock.ts';
import { Directory } from '../base/linux/directory.ts';
import { exitNow } from '../base/linux/processes.ts';
import type { Secret } from '../crypto/secret.ts';
import { authenticateHeader, isAuthenticHeader, readAnyHeader } from '../image/read/image.ts';
import type { UnwrappedKey } from '../keys/provider.ts';
import { checkImageId, unlockHeader } from '../library/unlock.ts';
import type { LeaseAnswer } from '../serve/leases/answers.ts';
import { type CheckRequest, IMAGE_FD } from '../serve/leases/check-request.ts';
import { judged } from '../serve/leases/judged.ts';
import { keyMark } from '../serve/leases/key-mark.ts';
import { SharedKey } from '../serve/leases/shared-key.ts';
import { sharedName } from '../serve/leases/terms.ts';
import { openStore } from '../stores/open-store.ts';
import { HeldKeys } from './options/held-keys.ts';
import { openedBy, privateKeysOf } from './options/image-arguments.ts';
import type { KeyArguments } from './options/key-options.ts';

/**
 * Reads what the daemon of a mount asks, opens the image by the keys that it names, and writes what became of that. The
 * key is compared with that of the image, and wiped. Ends when the daemon does.
 */
export async function checkKeyForDaemon(): Promise<void> {
  const lines = createInterface(process.stdin);
  const answered = new Promise<string>((resolve) => {
    lines.once('line', resolve);
    // As when a signal ends it: a command that was started for the key ends as well.
    lines.once('close', () => process.kill(process.pid, 'SIGTERM'));
  });
  const request = JSON.parse(await answered) as CheckRequest;
  enterDirectory(request.check.directory, request.check.directoryMark);
  const answer = await (request.isCriu ? openedCriu(request) : opened(request)).catch(refusal);
  process.stdout.write(`${JSON.stringify(answer)}\n`, () => exitNow(0));
}

/** Its keys are not shared: they are as long as it has directories. */
async function openedCriu({ check, imageId, path }: CheckRequest): Promise<LeaseAnswer> {
  const at = secondsSinceBoot();
  const { unlockCriu } = await import('../library/unlock-criu.ts');
  const root = Directory.fromDescriptor(IMAGE_FD, path);
  const keys = await HeldKeys.read({ ...(check.options as KeyArguments), asksNobody: true });
  try {
    (await unlockCriu(root, { ...privateKeysOf(keys), imageId })).secrets.wipe();
    return { verdict: 'allowed', at };
  } finally {
    keys.wipe();
  }
}

async function opened({ check, imageId, mark, path, name, seconds, after }: CheckRequest): Promise<LeaseAnswer> {
  const at = secondsSinceBoot();
  const store = openStore({ fd: IMAGE_FD, path, name });
  const keys = await HeldKeys.read({ ...(check.options as KeyArguments), asksNobody: true });
  try {
    const header = readAnyHeader(store);
    checkImageId(store, header, imageId);
    const open = (): Promise<UnwrappedKey> => unlockHeader(store, header, { ...openedBy(keys), keptKey: undefined });
    const isRight = (imageKey: Secret): boolean => isAuthenticHeader(header, imageKey);
    const markOf = (imageKey: Secret): string => keyMark(imageKey, imageId);
    const deadline = Deadline.after(check.timeoutSeconds * 1000);
    const heard =
      check.shared && keys.mayBeKept
        ? await new SharedKey(sharedName(imageId, check)).ask({ seconds, isRight, markOf, open, deadline }, after, mark)
        : await open();
    if ('last' in heard) return { ...heard.last, isShared: true };
    const { imageKey, leaseSeconds, fetchedAt = at } = heard;
    try {
      authenticateHeader(store, header, imageKey);
      if (markOf(imageKey) !== mark) throw replaced(path);
    } finally {
      imageKey.wipe();
    }
    return { verdict: 'allowed', at: fetchedAt, leaseSeconds };
  } finally {
    keys.wipe();
    store.close();
  }
}

/** The header that is there is of another image, which has the id of the one that is mounted. */
function replaced(path: string): CkptfsError {
  return new CkptfsError('wrong-image', `${path}: another image is in the place of the one that is mounted`, {
    path,
    data: { reason: 'replaced' },
  });
}

function refusal(error: unknown): LeaseAnswer {
  const at = secondsSinceBoot();
  const { stack, ...plain } = toPlainError(error);
  if (!(error instanceof CkptfsError)) return { verdict: 'unreachable', at, error: plain };
  return { ...judged(error), at, error: plain };
}
