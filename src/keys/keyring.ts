import { CkptfsError, systemErrorName } from '../base/errors.ts';
import {
  addUserKey,
  invalidateKey,
  KEYRINGS,
  keepKeyToUser,
  linkKey,
  readUserKey,
  searchKeyring,
  setKeyTimeout,
  unlinkKey,
} from '../base/linux/keyring.ts';
import { Region } from '../base/linux/native.ts';
import { printable } from '../base/printable.ts';
import { wipe } from '../base/wipe.ts';
import { IMAGE_KEY_SIZE } from '../crypto/image-keys.ts';
import { offHeap } from '../crypto/off-heap.ts';
import { Secret } from '../crypto/secret.ts';

const MAX_TTL_SECONDS = 0x7fffffff;

/**
 * In this order. The session comes last, because looking there gives a process that has no session keyring that of its
 * user, for its children to inherit, also those that become another user.
 */
const SEARCHED = [KEYRINGS.user, KEYRINGS.userSession, KEYRINGS.session] as const;

/** Returns the name under which the kernel has the key of an image. @param imageId 16 bytes */
export function imageKeyName(imageId: Uint8Array): string {
  return `ckptfs:${Buffer.from(imageId).toString('hex')}`;
}

/** Returns the name under which the kernel has a key for the time of a lease. @param name of `sharedName` */
export function leasedKeyName(name: string): string {
  return `ckptfs-lease:${name}`;
}

/**
 * Reads a key of type `user` in the keyrings of the user and of the session.
 * @param into receives what fits
 * @returns how many bytes there are now
 * @throws CkptfsError `bad-key-file`, `missing-feature`
 */
export function readFromKeyring(name: string, into: Uint8Array): number {
  try {
    return Math.min(readUserKey(findKey(name), new Region(into)), into.length);
  } catch (error) {
    throw keyringError(name, error);
  }
}

/**
 * Puts a secret into the keyring of the user, where every session of the same user finds it until its time is over. It
 * takes the place of what had the name. The kernel shows it to no other user.
 * @param ttlSeconds at least 1
 * @throws CkptfsError `bad-argument`, `bad-key-file`, `missing-feature`
 */
export function storeInKeyring(name: string, secret: Secret, ttlSeconds: number): void {
  if (!(Number.isInteger(ttlSeconds) && ttlSeconds >= 1 && ttlSeconds <= MAX_TTL_SECONDS))
    throw new CkptfsError('bad-argument', `a key is kept for 1 to ${MAX_TTL_SECONDS} seconds`);
  try {
    // It is found only once it has its timeout: a process that is killed in between leaves nothing that stays.
    const key = addUserKey(KEYRINGS.thread, name, new Region(secret.bytes));
    try {
      setKeyTimeout(key, ttlSeconds);
      linkKey(key, KEYRINGS.user);
      keepKeyToUser(key);
    } finally {
      unlinkKey(key, KEYRINGS.thread);
    }
  } catch (error) {
    throw keyringError(name, error);
  }
}

/**
 * Ends a key in the keyring of the user.
 * @returns whether there was one
 * @throws CkptfsError `bad-key-file`, `missing-feature`
 */
export function dropFromKeyring(name: string): boolean {
  try {
    invalidateKey(searchKeyring(KEYRINGS.user, name));
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw keyringError(name, error);
  }
}

/**
 * Returns the key of an image that the kernel has, which the caller wipes; undefined when it has none any more.
 * @throws CkptfsError `bad-key-file`, `missing-feature`
 */
export function readImageKey(imageId: Uint8Array): Secret | undefined {
  return readNamedKey(imageKeyName(imageId));
}

/** Like {@link readImageKey}, of any name. @throws CkptfsError `bad-key-file`, `missing-feature` */
export function readNamedKey(name: string): Secret | undefined {
  const key = offHeap(IMAGE_KEY_SIZE + 1);
  try {
    const length = readUserKey(searchKeyring(KEYRINGS.user, name), new Region(key));
    if (length === IMAGE_KEY_SIZE) return Secret.copy(key.subarray(0, IMAGE_KEY_SIZE));
    throw failed(name, 'not-a-key', 'holds no key of an image');
  } catch (error) {
    if (isGone(error)) return undefined;
    throw keyringError(name, error);
  } finally {
    wipe(key);
  }
}

/** Returns the serial number of the first key of that name that can be used. @throws Error */
function findKey(name: string): number {
  let problem: unknown;
  for (const keyring of SEARCHED) {
    try {
      return searchKeyring(keyring, name);
    } catch (error) {
      if (problem === undefined || systemErrorName(problem) === 'ENOKEY') problem = error;
    }
  }
  throw problem;
}

function isGone(error: unknown): boolean {
  return ['ENOKEY', 'EKEYEXPIRED', 'EKEYREVOKED'].includes(systemErrorName(error) ?? '');
}

type Reason = 'absent' | 'expired' | 'revoked' | 'unreadable' | 'not-a-key';

const PROBLEMS: Readonly<Record<string, readonly [reason: Reason, text: string]>> = {
  ENOKEY: ['absent', 'is not in the keyrings of the user and of the session'],
  EKEYEXPIRED: ['expired', 'has expired'],
  EKEYREVOKED: ['revoked', 'was revoked'],
  EACCES: ['unreadable', 'may not be read by this process'],
  EDQUOT: ['unreadable', "does not fit into this user's quota of keys"],
};

function keyringError(name: string, error: unknown): CkptfsError {
  if (error instanceof CkptfsError) return error;
  const errno = systemErrorName(error) ?? String(error);
  const [reason, text] = PROBLEMS[errno] ?? ['unreadable', `cannot be used: ${errno}`];
  return failed(name, reason, text, error);
}

function failed(name: string, reason: Reason, text: string, cause?: unknown): CkptfsError {
  return new CkptfsError('bad-key-file', `keyring:${printable(name)}: the key ${text}`, { data: { reason }, cause });
}
