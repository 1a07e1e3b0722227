import { CkptfsError, fromPlainError, toPlainError } from '../../base/errors.ts';
import type { AuditEvent } from '../../base/linux/audit-log.ts';
import { secondsSinceBoot } from '../../base/linux/boot-clock.ts';
import type { StorePlace } from '../../stores/store.ts';
import type { LeaseStatus } from '../control/control-messages.ts';
import type { LeaseAnswer } from '../leases/answers.ts';
import type { LeaseTerms } from '../leases/terms.ts';
import { checkKey } from './key-check.ts';
import { Lease } from './lease.ts';
import type { Log } from './log.ts';

/** Why the lease ends the use of a key. */
export type LeaseEnd = 'revoked' | 'unreachable';

/** What becomes of a mount by its lease. */
export interface LeasedMount {
  readonly imageId: string;
  readonly mountPoint: string;
  readonly canLock: boolean;
  /** Whether it is a directory that CRIU encrypted. */
  readonly isCriu: boolean;
  /** The directory of the image, held open. */
  readonly place: StorePlace;
  readonly log: Log;
  /** Tells the image key, which is there, from others; undefined for what CRIU encrypted. */
  keyMark(): string | undefined;
  /** Never throws. */
  lock(why: LeaseEnd): Promise<unknown>;
  /** Unmounts, so that the key is gone as soon as that can be. Never throws. */
  leave(why: LeaseEnd): Promise<void>;
  note(event: AuditEvent['event'], result: string, facts?: Pick<AuditEvent, 'seconds' | 'shared' | 'reason'>): void;
}

/** The lease of a mount's key: keeps asking, and does, logs and notes what follows from the answers. */
export class MountLease {
  readonly #terms: LeaseTerms;
  readonly #mount: LeasedMount;
  readonly #check: typeof checkKey;
  readonly #now: () => number;
  readonly #lease: Lease;
  #mark: string | undefined;

  /**
   * @param check finds out whether the key may be used, and never throws
   * @param now seconds since the host was started
   */
  constructor(terms: LeaseTerms, mount: LeasedMount, check = checkKey, now: () => number = secondsSinceBoot) {
    this.#terms = terms;
    this.#mount = mount;
    this.#check = check;
    this.#now = now;
    const host = {
      ask: (after: number) => this.#ask(after),
      heard: (answer: LeaseAnswer) => this.#heard(answer),
      expired: () => this.#expired(),
      graceOver: () => this.#lock('unreachable'),
    };
    this.#lease = new Lease(terms, host, now);
  }

  /** Begins, with a key that was fetched at a time, for as long as the service then said. */
  start(fetchedAt: number | undefined, leaseSeconds: number | undefined): void {
    this.#lease.start(fetchedAt ?? this.#now(), leaseSeconds);
    if (!this.#lease.isRunning) return;
    this.#mark = this.#mount.keyMark();
    const { secondsLeft } = this.#lease;
    this.#mount.note('lease', 'ok', { seconds: secondsLeft });
    this.#mount.log.info(`the key may be used for ${secondsLeft} seconds, until it is renewed`);
  }

  /** The key is gone, or the mount. */
  stop(): void {
    this.#lease.stop();
  }

  /** Undefined for a key that never had a lease. */
  get status(): LeaseStatus | undefined {
    const { isRunning, state, secondsLeft, last } = this.#lease;
    if (!isRunning && last === undefined) return undefined;
    return {
      state: isRunning || state === 'revoked' ? state : 'ended',
      secondsLeft: isRunning ? secondsLeft : 0,
      ...(last === undefined ? {} : { renewal: resultOf(last, this.#now()) }),
    };
  }

  #ask(after: number): Promise<LeaseAnswer> {
    const { place, imageId, isCriu } = this.#mount;
    const { check, seconds = this.#lease.secondsLeft } = this.#terms;
    if (typeof place === 'string') throw new CkptfsError('internal', 'the directory of the image is not held open');
    const { fd, path, name } = place;
    return this.#check({ check, imageId, isCriu, mark: this.#mark, path, name, seconds, after }, fd);
  }

  #heard(answer: LeaseAnswer): void {
    const { log } = this.#mount;
    const { verdict, error, isShared: shared } = answer;
    if (verdict === 'allowed' || error === undefined) {
      const seconds = this.#terms.seconds ?? answer.leaseSeconds;
      this.#mount.note('renewal', 'ok', { seconds, shared });
      log.info(`the key may still be used${shared ? ', as another process of this host has heard' : ''}`);
      return;
    }
    const reason = reasonOf(answer);
    this.#mount.note(verdict === 'revoked' ? 'revocation' : 'unreachable', error.code, { shared, reason });
    if (verdict === 'unreachable') {
      log.warning(`it is not known whether the key may still be used: ${error.message}`);
      return;
    }
    log.warning(`the key may not be used any more: ${error.message}`);
    this.#end();
  }

  /** Does what is to be done when the key may not be used any more. */
  #end(): void {
    const { onRevoked = this.#mount.canLock ? 'lock' : 'unmount' } = this.#terms;
    if (onRevoked === 'lock') this.#lock('revoked');
    else if (onRevoked === 'keep') {
      this.#mount.log.warning(`${this.#mount.mountPoint} goes on with it, as it was told to`);
    } else {
      this.#lease.stop();
      void this.#mount.leave('revoked');
    }
  }

  #lock(why: LeaseEnd): void {
    this.#lease.stop();
    // The service may have given a lease to a mount that cannot be locked and was not told what to do.
    void (this.#mount.canLock ? this.#mount.lock(why) : this.#mount.leave(why));
  }

  #expired(): void {
    const { mountPoint, log } = this.#mount;
    const { onUnreachable, graceSeconds = this.#terms.seconds } = this.#terms;
    this.#mount.note('expiry', 'ok');
    const next = onUnreachable === 'keep' ? 'goes on, as it was told to' : 'locks itself after the grace time';
    const grace = onUnreachable === 'keep' || graceSeconds === undefined ? '' : ` of ${graceSeconds} seconds`;
    log.warning(`the lease of the key is over, and was not renewed: ${mountPoint} ${next}${grace}`);
  }
}

function resultOf(answer: LeaseAnswer, now: number): NonNullable<LeaseStatus['renewal']> {
  const reason = reasonOf(answer);
  return {
    result: answer.verdict === 'allowed' ? 'ok' : answer.verdict,
    secondsAgo: Math.max(0, Math.floor(now - answer.at)),
    ...(answer.error === undefined ? {} : { error: answer.error.code }),
    ...(reason === undefined ? {} : { reason }),
  };
}

function reasonOf({ error }: LeaseAnswer): string | undefined {
  const data: unknown = error === undefined ? undefined : toPlainError(fromPlainError(error)).data;
  const reason: unknown = typeof data === 'object' && data !== null ? Reflect.get(data, 'reason') : undefined;
  return typeof reason === 'string' ? reason : undefined;
}
