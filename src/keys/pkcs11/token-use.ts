import { MalformedError } from '../../base/bytes.ts';
import { KeyProblem } from '../../crypto/key-problem.ts';
import { keyUnavailable, ModuleFault, unavailable } from './faults.ts';
import { findKey, namesPublicPart } from './find-key.ts';
import { logIn } from './login.ts';
import { TokenModule } from './module.ts';
import type { ReadPin } from './pin.ts';
import { Session } from './session.ts';
import { type SecretTokenKey, type TokenKey, WeakOaep } from './token-key.ts';
import { findToken } from './tokens.ts';
import { type Pkcs11Uri, queryText } from './uri.ts';

interface OpenToken {
  readonly module: TokenModule;
  readonly slot: number;
  readonly session: Session;
}

/** A key of a token, found when it is first needed, in a session of its own. */
export class TokenUse {
  readonly #uri: Pkcs11Uri;
  readonly #source: string;
  readonly #readPin: ReadPin | undefined;
  readonly #closers: (() => void)[] = [];
  #opened: Promise<OpenToken> | undefined;
  #key: TokenKey | undefined;

  /** @param source names the URI in messages @param readPin undefined to ask, where a PIN is needed */
  constructor(uri: Pkcs11Uri, source: string, readPin: ReadPin | undefined) {
    this.#uri = uri;
    this.#source = source;
    this.#readPin = readPin;
  }

  /** Does something with the key. @throws CkptfsError, also for what the token and its module did wrong */
  async use<T>(work: (key: TokenKey) => T | Promise<T>): Promise<T> {
    try {
      this.#opened ??= this.#open();
      const { session } = await this.#opened;
      this.#key ??= findKey(session, this.#uri, this.#source);
      return await work(this.#key);
    } catch (error) {
      throw this.#forUsers(error);
    }
  }

  /** Destroys the object of the key, in the token. @throws as {@link use} */
  destroy({ object }: SecretTokenKey): Promise<void> {
    return this.use(async () => {
      const opened = await this.#opened;
      if (opened === undefined) return;
      const writing = new Session(opened.module.functions, opened.slot, { writes: true });
      try {
        writing.destroy(object);
        this.#key = undefined;
      } finally {
        writing.close();
      }
    });
  }

  /** Ends the session, and the use of the module. May be called again. */
  close(): void {
    for (const close of this.#closers.splice(0).reverse()) close();
    this.#opened = undefined;
    this.#key = undefined;
  }

  async #open(): Promise<OpenToken> {
    const uri = this.#uri;
    const module = TokenModule.open(queryText(uri, 'module-path'), queryText(uri, 'x-init-reserved'));
    this.#closers.push(() => module.close());
    const token = findToken(module, uri, this.#source);
    const session = new Session(module.functions, token.slot);
    this.#closers.push(() => session.close());
    if (!namesPublicPart(uri)) await logIn(module, token, session, this.#readPin);
    return { module, slot: token.slot, session };
  }

  #forUsers(error: unknown): unknown {
    if (error instanceof ModuleFault) return unavailable(this.#source, error);
    if (error instanceof WeakOaep) {
      const what = 'its token has no RSA-OAEP with SHA-256, and nothing weaker is used';
      return keyUnavailable('refused', `${this.#source}: ${what} (${error.message})`, error);
    }
    if (error instanceof MalformedError) return keyUnavailable('garbage', `${this.#source}: ${error.message}`, error);
    if (error instanceof KeyProblem) return keyUnavailable('refused', `${this.#source} ${error.message}`, error);
    return error;
  }
}
