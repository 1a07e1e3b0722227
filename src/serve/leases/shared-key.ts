import { setTimeout as sleep } from 'node:timers/promises';
import type { Deadline } from '../../base/deadline.ts';
import { CkptfsError, toPlainError } from '../../base/errors.ts';
import { secondsSinceBoot } from '../../base/linux/boot-clock.ts';
import type { Secret } from '../../crypto/secret.ts';
import { dropFromKeyring, leasedKeyName, readNamedKey, storeInKeyring } from '../../keys/keyring.ts';
import type { UnwrappedKey } from '../../keys/provider.ts';
import { countsFor } from './answers.ts';
import { AskingLock, type HostAnswers, namesShared, readHostAnswers, removeOldAnswers } from './host-answers.ts';
import { judged } from './judged.ts';

/** How often a process looks whether another one has asked by now: flock(2) cannot wait with a deadline. */
const LOOK_MILLISECONDS = 50;

/** What a process wants to know of a key, and how it asks for itself. */
export interface Question {
  /** For how long the key may be used, and shared, from when it was fetched on; a service may say less. */
  readonly seconds: number;
  /** Tells whether a key is that of the image: anything may be in the keyring. */
  readonly isRight: (imageKey: Secret) => boolean;
  /** See `keyMark`. */
  readonly markOf: (imageKey: Secret) => string;
  /** Opens the image. The key is the caller's, who wipes it. */
  readonly open: () => Promise<UnwrappedKey>;
  readonly deadline: Deadline;
}

/**
 * The key of an image as the processes of a user share it for the time of a lease: the kernel keeps it, and a file
 * says what was heard of it. Of many processes that want it at once, one asks.
 */
export class SharedKey {
  readonly #name: string;

  /** @param name of `sharedName` */
  constructor(name: string) {
    this.#name = name;
  }

  /**
   * Returns the key that is shared, or opens the image and shares the key. The caller wipes it.
   * @throws CkptfsError `key-unavailable` when another process asks until the deadline; what `open` throws
   */
  async fetch(question: Question): Promise<UnwrappedKey> {
    const lock = await this.#turn(question.deadline, () => this.#kept(question, readHostAnswers(this.#name)));
    if (lock === 'late') throw askedByAnother();
    if (lock === 'alone') return this.#asked(question);
    if (!(lock instanceof AskingLock)) return lock;
    try {
      return this.#kept(question, lock.read()) ?? (await this.#asked(question, lock));
    } finally {
      lock.release();
    }
  }

  /**
   * Asks anew, unless another process has meanwhile. One that has not until the deadline may be stopped, and keeps this
   * one from nothing.
   * @param after an answer to a later question counts, in seconds since the host was started
   * @param mark of the image key that is used
   * @returns the key, which the caller wipes; or what was heard
   * @throws what `open` throws
   */
  async ask(question: Question, after: number, mark: string | undefined): Promise<UnwrappedKey | HostAnswers> {
    const newer = (answers: HostAnswers | undefined) =>
      answers !== undefined && countsFor(answers.last, after, mark) ? answers : undefined;
    const lock = await this.#turn(question.deadline, () => newer(readHostAnswers(this.#name)));
    if (lock === 'late' || lock === 'alone') return this.#asked(question);
    if (!(lock instanceof AskingLock)) return lock;
    try {
      return newer(lock.read()) ?? (await this.#asked(question, lock));
    } finally {
      lock.release();
    }
  }

  /**
   * Waits for the right to ask, or until that is not needed.
   * @returns `late` when another process has it until the deadline, `alone` where there is no place for files to share
   */
  async #turn<T>(deadline: Deadline, look: () => T | undefined): Promise<AskingLock | 'alone' | 'late' | T> {
    for (;;) {
      const found = look() ?? this.#tryTake();
      if (found !== undefined) return found;
      if (deadline.hasPassed) return 'late';
      await sleep(Math.min(LOOK_MILLISECONDS, deadline.left));
    }
  }

  #tryTake(): AskingLock | 'alone' | undefined {
    try {
      return AskingLock.tryTake(this.#name);
    } catch {
      // The state directory cannot be written to, or another user has made what is there.
      return 'alone';
    }
  }

  #kept({ seconds, isRight }: Question, answers: HostAnswers | undefined): UnwrappedKey | undefined {
    const fetched = answers?.fetched;
    if (fetched === undefined) return undefined;
    const { at, leaseSeconds, slot, source } = fetched;
    if (secondsSinceBoot() - at >= Math.min(seconds, leaseSeconds ?? seconds)) return undefined;
    const imageKey = this.#readKept();
    if (imageKey === undefined) return undefined;
    if (isRight(imageKey)) return { imageKey, slot, source, leaseSeconds, fetchedAt: at, isShared: true };
    imageKey.wipe();
    return undefined;
  }

  #readKept(): Secret | undefined {
    try {
      return readNamedKey(leasedKeyName(this.#name));
    } catch {
      // What is there is no key: it is fetched, and takes its place.
      return undefined;
    }
  }

  /** @param lock undefined: what is heard is not shared */
  async #asked({ seconds, isRight, markOf, open }: Question, lock?: AskingLock): Promise<UnwrappedKey> {
    const at = secondsSinceBoot();
    let opened: UnwrappedKey;
    try {
      opened = await open();
    } catch (error) {
      this.#heard(error, at, lock);
      throw error;
    }
    if (lock === undefined) return { ...opened, fetchedAt: at };
    const { imageKey, slot, source, leaseSeconds } = opened;
    const shared = Math.min(seconds, leaseSeconds ?? seconds);
    const isShared = isRight(imageKey) && this.#keep(imageKey, shared - (secondsSinceBoot() - at));
    const fetched = isShared ? { at, seconds: shared, leaseSeconds, slot, source } : undefined;
    lock.write({ last: { verdict: 'allowed', at, leaseSeconds, mark: markOf(imageKey) }, fetched });
    removeOldAnswers();
    return { ...opened, fetchedAt: at };
  }

  /** Returns whether the kernel keeps the key. Where it does not, every process asks for itself. */
  #keep(imageKey: Secret, seconds: number): boolean {
    try {
      if (seconds >= 1) storeInKeyring(leasedKeyName(this.#name), imageKey, Math.floor(seconds));
      return seconds >= 1;
    } catch {
      // The user's quota of keys is used up, or this is a container without keyrings.
      return false;
    }
  }

  #heard(error: unknown, at: number, lock: AskingLock | undefined): void {
    if (!(error instanceof CkptfsError)) return;
    const { verdict, isLast } = judged(error);
    if (verdict === 'revoked') this.#drop();
    const { stack, ...plain } = toPlainError(error);
    const fetched = verdict === 'revoked' ? undefined : lock?.read()?.fetched;
    lock?.write({ last: { verdict, at, error: plain, isLast }, fetched });
  }

  #drop(): void {
    try {
      dropFromKeyring(leasedKeyName(this.#name));
    } catch {
      // Without keyrings none keeps it.
    }
  }
}

function askedByAnother(): CkptfsError {
  return new CkptfsError('key-unavailable', 'another process of this host asks for the key, and has no answer yet', {
    data: { reason: 'timeout' },
  });
}

/**
 * Takes back from the kernel every key of an image that mounts share. Mounts that have read it keep it.
 * @param imageId 32 hexadecimal digits
 * @returns whether there was one
 * @throws CkptfsError `io`; `bad-key-file`, `missing-feature` from the keyring
 */
export function dropSharedKeys(imageId: string): boolean {
  return namesShared(imageId).filter((name) => dropFromKeyring(leasedKeyName(name))).length > 0;
}
