import { MalformedError } from '../../base/bytes.ts';
import type { Deadline } from '../../base/deadline.ts';
import { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { wipe } from '../../base/wipe.ts';
import { offHeap } from '../../crypto/off-heap.ts';
import type { Secret } from '../../crypto/secret.ts';
import { CONFIGURATION_VARIABLE, type ProviderPlace, readProviders } from '../keyprovider/configuration.ts';
import { contentKeyIn, MAX_ANSWER_SIZE, unwrapQuestion, wrappedIn, wrapQuestion } from '../keyprovider/messages.ts';
import { checkedSeconds } from '../sources/time-limit.ts';
import { type KeyService, type OpenService, serviceProvider } from './service.ts';

/** Bytes that a slot has for what was wrapped. */
const MAX_WRAPPED_SIZE = 6000;
/** A name is also what slots call the key. */
const FORM = /^([\x21-\x39\x3b-\x7e]{1,128})(?::(.*))?$/s;

/** `keyprovider:NAME[:PARAMETER]`: a plug-in for encrypted container images, by the protocol of ocicrypt. */
export const openService: OpenService = (rest, { timeoutSeconds }) => {
  const [, name, parameter] = FORM.exec(rest) ?? [];
  if (name === undefined) throw new CkptfsError('bad-argument', 'keyprovider: needs the name of a key provider');
  const seconds = checkedSeconds(timeoutSeconds);
  return serviceProvider(new KeyProviderService(name, parameter, seconds), 'keyprovider', seconds);
};

class KeyProviderService implements KeyService {
  readonly name = 'keyprovider';
  readonly source: string;
  readonly place: string;
  readonly #provider: string;
  readonly #parameter: string | undefined;
  readonly #seconds: number;

  constructor(provider: string, parameter: string | undefined, seconds: number) {
    // The parameter may be anything, also what is not to be shown.
    this.source = `keyprovider:${provider}`;
    this.place = this.source;
    this.#provider = provider;
    this.#parameter = parameter;
    this.#seconds = seconds;
  }

  async keyForMaking(): Promise<string> {
    this.#findPlace();
    return this.#provider;
  }

  mayOpen(keyId: string): boolean {
    return keyId === this.#provider;
  }

  async wrap(contentKey: Secret, _keyId: string, context: Buffer): Promise<Uint8Array> {
    const question = wrapQuestion(this.#provider, this.#parameter, contentKey, context);
    const wrapped = await this.#ask('WrapKey', question, wrappedIn);
    if (wrapped.length <= MAX_WRAPPED_SIZE) return wrapped;
    throw this.#garbage(`it wraps to ${wrapped.length} bytes, more than a key slot has room for`);
  }

  async unwrap(wrapped: Buffer, _keyId: string, context: Buffer, deadline: Deadline) {
    const question = unwrapQuestion(this.#provider, this.#parameter, wrapped);
    const contentKey = await this.#ask('UnWrapKey', question, (answer) => contentKeyIn(answer, context), deadline);
    return contentKey && { contentKey };
  }

  close(): void {
    // Each question is a program or a connection of its own.
  }

  /** Asks, reads the answer, and wipes both. */
  async #ask<T>(
    method: 'WrapKey' | 'UnWrapKey',
    question: Buffer,
    read: (answer: Uint8Array) => T,
    deadline?: Deadline,
  ): Promise<T> {
    const into = offHeap(MAX_ANSWER_SIZE);
    try {
      const length = await this.#answer(method, question, into, deadline);
      if (length === into.length) throw this.#garbage(`it answers more than ${MAX_ANSWER_SIZE - 1} bytes`);
      return read(into.subarray(0, length));
    } catch (error) {
      if (error instanceof MalformedError) throw this.#garbage(`its answer is of no use: ${error.message}`);
      throw error;
    } finally {
      wipe(into);
      wipe(question);
    }
  }

  async #answer(
    method: 'WrapKey' | 'UnWrapKey',
    question: Buffer,
    into: Buffer,
    deadline: Deadline | undefined,
  ): Promise<number> {
    const place = this.#findPlace();
    const seconds = this.#seconds;
    if ('command' in place) {
      const { runForSecret } = await import('../sources/command.ts');
      const options = { timeoutSeconds: seconds, deadline, input: question };
      return runForSecret(this.source, place.command, into, options);
    }
    const { callGrpc } = await import('../keyprovider/grpc.ts');
    const { source } = this;
    return callGrpc({ source, address: place.grpc, method, message: question, seconds, deadline }, into);
  }

  /** @throws CkptfsError `bad-key-file`, `key-unavailable` */
  #findPlace(): ProviderPlace {
    const path = process.env[CONFIGURATION_VARIABLE];
    if (path === undefined || path === '')
      throw this.#unavailable('absent', `${CONFIGURATION_VARIABLE} names no configuration of key providers`);
    const providers = this.#parsed(path, () => readProviders(path));
    const place = providers.get(this.#provider);
    if (place !== undefined) return this.#parsed(path, place);
    const known = providers.size === 0 ? 'none' : [...providers.keys()].join(', ');
    throw this.#unavailable('absent', `${path} has no such key provider; it has ${printable(known, 300)}`);
  }

  #parsed<T>(path: string, parse: () => T): T {
    try {
      return parse();
    } catch (cause) {
      if (!(cause instanceof MalformedError)) throw cause;
      const message = `configuration of key providers ${path}: ${cause.message}`;
      throw new CkptfsError('bad-key-file', message, { path, data: { reason: 'unreadable' }, cause });
    }
  }

  #garbage(problem: string): CkptfsError {
    return this.#unavailable('garbage', problem);
  }

  #unavailable(reason: 'absent' | 'garbage', problem: string): CkptfsError {
    return new CkptfsError('key-unavailable', `${this.source}: ${problem}`, { data: { reason } });
  }
}
