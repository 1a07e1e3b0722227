import { secondsSinceBoot } from '../../base/linux/boot-clock.ts';
import type { LeaseAnswer } from '../leases/answers.ts';
import type { OnUnreachable } from '../leases/terms.ts';
import { KeyTtl } from './key-ttl.ts';

/** A lease is renewed when between 57 and 67 % of it are over, so that mounts that began together ask one by one. */
const LATEST_RENEWAL = 2 / 3;
const JITTER = 0.1;
/** After so much of a lease without an answer it is asked again. */
const RETRY = 0.1;
const [MIN_RETRY_SECONDS, MAX_RETRY_SECONDS] = [1, 300];

export interface LeaseRules {
  /** What the mount was told; a service may say less with each answer. */
  readonly seconds?: number | undefined;
  readonly onUnreachable: OnUnreachable;
  /** By default another lease. */
  readonly graceSeconds?: number | undefined;
}

/** What a lease asks, and whom it tells. */
export interface LeaseHost {
  /** @param after an answer to an earlier question does not count */
  ask(after: number): Promise<LeaseAnswer>;
  /** Is told every answer. The lease has stopped when it returns from a revocation that ends the use of the key. */
  heard(answer: LeaseAnswer): void;
  /** Is told once that the lease is over without an answer, while the key stays. */
  expired(): void;
  /** Is told that the grace is over: the key has to go. */
  graceOver(): void;
}

/** - `held`: the key may be used. - `expired`: no answer came in time. - `revoked`: it is used in spite of that. */
export type LeaseState = 'held' | 'expired' | 'revoked';

/** The time for which a key may be used, renewed in the background, by a clock that goes on on a suspended host. */
export class Lease {
  readonly #rules: LeaseRules;
  readonly #host: LeaseHost;
  readonly #now: () => number;
  readonly #random: () => number;
  /** Increases with each start and stop, so that answers to older questions are dropped. */
  #run = 0;
  #state: LeaseState = 'held';
  #goodAt = 0;
  #seconds = 0;
  #heardAt = 0;
  #last: LeaseAnswer | undefined;
  #renewal: KeyTtl | undefined;
  #end: KeyTtl | undefined;

  /** @param now seconds of that clock @param random 0 to 1 */
  constructor(rules: LeaseRules, host: LeaseHost, now: () => number = secondsSinceBoot, random = Math.random) {
    this.#rules = rules;
    this.#host = host;
    this.#now = now;
    this.#random = random;
  }

  /**
   * Begins, with a key that was good at a time. Does nothing where neither the rules nor the service give it a time.
   * @param leaseSeconds what the service said
   */
  start(goodAt: number, leaseSeconds?: number): void {
    this.stop();
    this.#last = undefined;
    this.#heardAt = goodAt;
    this.#hold(goodAt, leaseSeconds);
  }

  /** The key is gone, and nothing is asked any more. */
  stop(): void {
    this.#run++;
    this.#renewal?.stop();
    this.#end?.stop();
    this.#renewal = undefined;
    this.#end = undefined;
    this.#seconds = 0;
  }

  get isRunning(): boolean {
    return this.#seconds > 0;
  }

  get state(): LeaseState {
    return this.#state;
  }

  /** Until the lease is over; 0 when it is. */
  get secondsLeft(): number {
    return Math.max(0, Math.ceil(this.#goodAt + this.#seconds - this.#now()));
  }

  /** The last answer since the mount began, or was unlocked; it stays when the lease has stopped. */
  get last(): LeaseAnswer | undefined {
    return this.#last;
  }

  #hold(goodAt: number, leaseSeconds: number | undefined): void {
    this.#seconds = Math.min(this.#rules.seconds ?? leaseSeconds ?? 0, leaseSeconds ?? Number.POSITIVE_INFINITY);
    if (this.#seconds === 0) return;
    this.#state = 'held';
    this.#goodAt = goodAt;
    this.#renewAt(goodAt + this.#seconds * this.#share());
    this.#end = this.#at(goodAt + this.#seconds, () => this.#expire());
  }

  #share(): number {
    return LATEST_RENEWAL - JITTER * this.#random();
  }

  #renewAt(time: number): void {
    this.#renewal?.stop();
    this.#renewal = this.#at(time, () => void this.#renew());
  }

  /** Calls `work` at a time of the clock; soon, when that has passed. */
  #at(time: number, work: () => void): KeyTtl {
    const timer = new KeyTtl(time - this.#now(), work, this.#now);
    timer.start();
    return timer;
  }

  async #renew(): Promise<void> {
    const run = this.#run;
    // What another process of this host has heard counts, unless it is of the period before.
    const answer = await this.#host.ask(Math.max(this.#heardAt, this.#now() - this.#seconds / 2));
    if (run !== this.#run) return;
    this.#heardAt = Math.max(this.#heardAt, answer.at);
    this.#last = answer;
    if (answer.verdict === 'revoked') this.#state = 'revoked';
    this.#host.heard(answer);
    // What it was told may have ended the use of the key.
    if (run !== this.#run) return;
    if (answer.verdict === 'allowed') {
      this.#end?.stop();
      this.#hold(answer.at, answer.leaseSeconds);
    } else if (answer.verdict === 'unreachable') {
      this.#renewAt(this.#now() + Math.min(MAX_RETRY_SECONDS, Math.max(MIN_RETRY_SECONDS, this.#seconds * RETRY)));
    } else {
      this.#end?.stop();
      if (answer.isLast !== true) this.#renewAt(answer.at + this.#seconds * this.#share());
    }
  }

  #expire(): void {
    if (this.#state !== 'held') return;
    this.#state = 'expired';
    this.#host.expired();
    if (this.#rules.onUnreachable === 'keep') return;
    const grace = this.#rules.graceSeconds ?? this.#seconds;
    this.#end = this.#at(this.#goodAt + this.#seconds + grace, () => this.#host.graceOver());
  }
}
