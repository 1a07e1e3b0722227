import type { SecureContext } from 'node:tls';
import { Deadline } from '../../base/deadline.ts';
import { CkptfsError } from '../../base/errors.ts';
import { checkCertificateFiles, readCertificates } from '../sources/https-certificates.ts';
import { interruptible } from '../sources/interruptible.ts';
import { pause } from '../sources/pause.ts';
import type { SourceOptions } from '../sources/source.ts';
import { checkedSeconds, inSeconds } from '../sources/time-limit.ts';
import { withinTime } from '../sources/within-time.ts';
import type { KmipAddress, ServerAddress } from './address.ts';
import { CIPHERS } from './connection.ts';
import { ServerFailure } from './server-failure.ts';
import { Session } from './session.ts';

/** Rounds after the first one in which servers are tried that failed in a way that may pass. */
const MAX_RETRIES = 3;
const FIRST_PAUSE_MILLISECONDS = 100;
/** A timer may end a moment before the deadline that it is for. */
const LEAST_MILLISECONDS = 10;

/** Work with a server. It may be done again with another one, unless it says that it may not. */
export type Work<T> = (session: Session, signal: AbortSignal) => Promise<T>;

/** Servers that failed last time, for the life of this process: they are tried after the others. */
const failedServers = new Set<string>();

/** Several servers of the same keys, of which the first one that answers is used. */
export class Servers {
  readonly #address: KmipAddress;
  readonly #options: SourceOptions;
  readonly #seconds: number;
  #deadline: Deadline | undefined;
  readonly #sessions = new Map<string, Session>();
  #secureContext: SecureContext | undefined;

  /** @throws CkptfsError `bad-argument` */
  constructor(address: KmipAddress, options: SourceOptions) {
    this.#address = address;
    this.#options = options;
    this.#seconds = checkedSeconds(options.timeoutSeconds);
    checkCertificateFiles(options);
  }

  /**
   * Does work with the first server that can be used. One that does not answer costs its share of the time, and is
   * tried last from then on.
   * @param mayRepeat whether the work may be done again when a server fails in the middle of it
   * @throws CkptfsError `key-unavailable` when no server can be used, `bad-key-file`, `interrupted`; what `work` throws
   */
  use<T>(work: Work<T>, mayRepeat = true): Promise<T> {
    const deadline = this.#options.deadline ?? this.#deadline ?? Deadline.after(this.#seconds * 1000);
    return interruptible((interrupted) => this.#useAny(work, mayRepeat, deadline, interrupted));
  }

  /** Gives the whole time to all that is asked from now on, together. */
  startTime(): void {
    this.#deadline = Deadline.after(this.#seconds * 1000);
  }

  close(): void {
    for (const session of this.#sessions.values()) session.close();
    this.#sessions.clear();
  }

  async #useAny<T>(work: Work<T>, mayRepeat: boolean, deadline: Deadline, interrupted: AbortSignal): Promise<T> {
    let failures = new Map<ServerAddress, ServerFailure>();
    let servers = inOrder(this.#address.servers);
    for (let round = 0; ; round++) {
      for (const [index, server] of servers.entries()) {
        if (deadline.left < LEAST_MILLISECONDS) break;
        const share = deadline.left / (servers.length - index);
        const result = await this.#useOne(server, work, mayRepeat, share, interrupted);
        if (!(result instanceof ServerFailure)) return result.value;
        failures = new Map(failures).set(server, result);
      }
      servers = servers.filter((server) => failures.get(server)?.mayPass === true);
      if (servers.length === 0 || round === MAX_RETRIES || deadline.left < LEAST_MILLISECONDS)
        throw this.#unavailable(failures);
      await pause(Math.min(deadline.left, FIRST_PAUSE_MILLISECONDS * 2 ** round), interrupted);
    }
  }

  /** Returns what the work gives, or why this server cannot be used. */
  async #useOne<T>(
    server: ServerAddress,
    work: Work<T>,
    mayRepeat: boolean,
    milliseconds: number,
    interrupted: AbortSignal,
  ): Promise<{ readonly value: T } | ServerFailure> {
    let began = false;
    return withinTime(milliseconds, interrupted, async (signal) => {
      try {
        const session = await this.#sessionWith(server, signal);
        began = true;
        const value = await work(session, signal);
        failedServers.delete(server.text);
        return { value };
      } catch (error) {
        if (interrupted.aborted) throw error;
        const failure = signal.aborted ? tooSlow(milliseconds) : error;
        if (!(failure instanceof ServerFailure)) throw error;
        failedServers.add(server.text);
        this.#sessions.get(server.text)?.close();
        if (began && !mayRepeat) throw this.#unavailable(new Map([[server, failure]]));
        return failure;
      }
    });
  }

  async #sessionWith(server: ServerAddress, signal: AbortSignal): Promise<Session> {
    const known = this.#sessions.get(server.text);
    if (known?.isOpen) return known;
    this.#secureContext ??= readCertificates(this.#options, CIPHERS);
    const secureContext = this.#secureContext;
    const session = await Session.open(server, secureContext, this.#address.version, signal);
    this.#sessions.set(server.text, session);
    return session;
  }

  #unavailable(failures: ReadonlyMap<ServerAddress, ServerFailure>): CkptfsError {
    const all = [...failures.values()];
    const worst = all.find(({ reason }) => reason !== 'unreachable' && reason !== 'timeout') ?? all[0];
    const problems = [...failures].map(([{ text }, { message }]) => `${text}: ${message}`);
    const problem = problems.length === 0 ? `no answer within ${inSeconds(this.#seconds)}` : problems.join('; ');
    const data = { reason: worst?.reason ?? 'timeout' };
    return new CkptfsError('key-unavailable', `${this.#address.text}: ${problem}`, { data, cause: worst });
  }
}

/** Returns servers in their order, those last that failed last time. */
function inOrder(servers: readonly ServerAddress[]): readonly ServerAddress[] {
  const failed = (server: ServerAddress): boolean => failedServers.has(server.text);
  return [...servers.filter((server) => !failed(server)), ...servers.filter(failed)];
}

function tooSlow(milliseconds: number): ServerFailure {
  return new ServerFailure('timeout', `no answer within ${inSeconds(Math.round(milliseconds / 100) / 10)}`, false);
}
