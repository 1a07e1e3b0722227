import { MalformedError } from '../../base/bytes.ts';
import type { Deadline } from '../../base/deadline.ts';
import { CkptfsError } from '../../base/errors.ts';
import { wipe } from '../../base/wipe.ts';
import { encodeBase64 } from '../../crypto/base64.ts';
import { offHeap } from '../../crypto/off-heap.ts';
import type { Secret } from '../../crypto/secret.ts';
import { HiddenJson, joinSecretText } from '../hidden-json.ts';
import { checkCertificateFiles } from '../sources/https-certificates.ts';
import type { SourceOptions } from '../sources/source.ts';
import { checkedSeconds } from '../sources/time-limit.ts';
import { explainAnswer, keyProblem } from '../vault/answers.ts';
import { parsePlace, type VaultPlace } from '../vault/place.ts';
import { type KeyService, type OpenService, serviceProvider, type UnwrappedContent } from './service.ts';

const MAX_ANSWER_SIZE = 16 << 10;
/** Bytes that a slot has for what was wrapped. */
const MAX_WRAPPED_SIZE = 6000;
/** How Vault and OpenBao write what they encrypted: the version of the key, and base64. */
const CIPHERTEXT = /^vault:v\d{1,9}:[A-Za-z0-9+/]+=*$/;

/** `vault://HOST[:PORT]/MOUNT/KEY`: the transit engine of HashiCorp Vault and OpenBao. */
export const openService: OpenService = (rest, options) => {
  const place = parsePlace(rest);
  checkCertificateFiles(options);
  const seconds = checkedSeconds(options.timeoutSeconds);
  return serviceProvider(new VaultService(place, seconds, options), 'vault', seconds);
};

class VaultService implements KeyService {
  readonly name = 'vault';
  readonly source: string;
  readonly place: string;
  readonly #place: VaultPlace;
  readonly #seconds: number;
  readonly #options: SourceOptions;

  constructor(place: VaultPlace, seconds: number, options: SourceOptions) {
    this.source = place.text;
    this.place = place.text;
    this.#place = place;
    this.#seconds = seconds;
    this.#options = options;
  }

  /** Reads the key first, because Vault makes one when it is to encrypt by a key that is not there. */
  async keyForMaking(): Promise<string> {
    const problem = await this.#ask('keys', undefined, keyProblem);
    if (problem === undefined) return this.#place.keyId;
    throw this.#unavailable(problem.reason, problem.problem);
  }

  mayOpen(keyId: string): boolean {
    return keyId === this.#place.keyId;
  }

  async wrap(contentKey: Secret, _keyId: string, context: Buffer): Promise<Uint8Array> {
    const plaintext = encodeBase64(contentKey.bytes);
    const body = joinSecretText('{"plaintext":"', plaintext, `","associated_data":"${context.toString('base64')}"}`);
    wipe(plaintext);
    const ciphertext = await this.#ask('encrypt', body, (answer) => answer.text('data', 'ciphertext'));
    if (ciphertext === undefined || !CIPHERTEXT.test(ciphertext) || ciphertext.length > MAX_WRAPPED_SIZE)
      throw this.#unavailable('garbage', 'its answer has no ciphertext of the transit engine');
    return Buffer.from(ciphertext, 'latin1');
  }

  async unwrap(
    wrapped: Buffer,
    _keyId: string,
    context: Buffer,
    deadline: Deadline,
  ): Promise<UnwrappedContent | undefined> {
    const ciphertext = wrapped.toString('latin1');
    // Anyone may have made the slot: nothing else is sent to the server.
    if (!CIPHERTEXT.test(ciphertext)) return undefined;
    const body = Buffer.from(JSON.stringify({ ciphertext, associated_data: context.toString('base64') }));
    const contentKey = await this.#ask('decrypt', body, (answer) => answer.secret('data', 'plaintext'), deadline);
    return contentKey && { contentKey };
  }

  close(): void {
    // Each question is a connection of its own.
  }

  /**
   * Asks the server, and wipes question and answer. Returns undefined for a ciphertext of another key.
   * @param deadline ends it earlier
   */
  async #ask<T>(
    what: 'keys' | 'encrypt' | 'decrypt',
    body: Buffer | undefined,
    read: (answer: HiddenJson) => T,
    deadline = this.#options.deadline,
  ): Promise<T | undefined> {
    const into = offHeap(MAX_ANSWER_SIZE);
    let isForeign = false;
    try {
      const { fetchSecret } = await import('../sources/https-fetch.ts');
      const length = await fetchSecret(
        {
          source: this.source,
          url: this.#place.urlOf(what),
          // What listeners may demand, so that no other kind of request is taken for one of ours.
          headers: [{ name: 'X-Vault-Request', value: () => 'true' }, ...(this.#options.headers ?? [])],
          seconds: this.#seconds,
          deadline,
          mayFollow: () => false,
          files: this.#options,
          body,
          explain: (status, answer) => {
            const { isOfAnotherKey, ...explanation } = explainAnswer(status, answer);
            isForeign = isOfAnotherKey;
            return explanation;
          },
        },
        into,
      );
      if (length === into.length) throw new MalformedError('it is too long');
      return read(HiddenJson.parse(into.subarray(0, length)));
    } catch (error) {
      if (isForeign && what === 'decrypt') return undefined;
      if (error instanceof MalformedError)
        throw this.#unavailable('garbage', `its answer is of no use: ${error.message}`);
      throw error;
    } finally {
      wipe(into);
      if (body !== undefined) wipe(body);
    }
  }

  #unavailable(reason: 'garbage' | 'refused' | 'revoked', problem: string): CkptfsError {
    return new CkptfsError('key-unavailable', `${this.source}: ${problem}`, { data: { reason } });
  }
}
