import { disposedKey } from '../../crypto/checks.ts';
import { KeyProblem } from '../../crypto/key-problem.ts';
import type { PrivateKey } from '../../crypto/private-key.ts';
import { type PublicJwk, thumbprint, x25519Of } from '../../crypto/public-key.ts';
import { Secret } from '../../crypto/secret.ts';
import type { Slot } from '../../format/slot.ts';
import type { KeyFileWarning } from '../key-file.ts';
import { asKeyFileError, readKeyMaterial } from '../key-material.ts';
import type { Identity, NamedPrivateKey, OpenedSlot } from '../provider.ts';
import { recipientOf, unwrapWithPrivateKey } from '../slots/public-key.ts';
import { openPrivateKeys, readPrivateKeys, shownPublicKey } from './private-keys.ts';

/** Gets a passphrase, which is wiped after use. Is called only when the key may fit a slot of the image. */
export type PassphraseReader = () => Promise<Secret>;

const KIND = 'private key';

/**
 * A private key in a file, in each form of {@link readPrivateKeys}, or the several keys of a file of age. It opens only
 * slots with their thumbprints. The caller disposes of it.
 */
export class PrivateKeyFile implements Identity {
  readonly source: string;
  readonly #path: string;
  readonly #passphrase: PassphraseReader | undefined;
  /** Contents that a passphrase protects, until they are opened. */
  #contents: Secret | undefined;
  /** The thumbprint of a key that a passphrase protects, where the file shows its public part. */
  #shown: string | undefined;
  #keys: readonly PrivateKey[] | undefined;
  #warning: KeyFileWarning | undefined;

  private constructor(path: string, passphrase: PassphraseReader | undefined) {
    this.source = `${KIND} ${path}`;
    this.#path = path;
    this.#passphrase = passphrase;
  }

  /**
   * Reads the file. A key that a passphrase protects is not opened yet.
   * @throws CkptfsError `bad-key-file`
   */
  static read(path: string, passphrase?: PassphraseReader): PrivateKeyFile {
    const file = new PrivateKeyFile(path, passphrase);
    file.#warning = readKeyMaterial(KIND, path, (contents) => file.#take(contents)).warning;
    return file;
  }

  /** A problem with the file that the user should know of, if there is one. */
  get warning(): KeyFileWarning | undefined {
    return this.#warning;
  }

  /** The thumbprint of its first key; undefined while a passphrase protects it, unless it shows its public part. */
  get keyId(): string | undefined {
    const [key] = this.#keys ?? [];
    return key === undefined ? this.#shown : thumbprint(key.publicJwk);
  }

  /** @throws CkptfsError `bad-key-file` when it needs a passphrase and gets none or a wrong one; `damaged` */
  async unwrap(slots: readonly Slot[], imageId: Buffer): Promise<OpenedSlot | undefined> {
    const wanted = slots.flatMap((slot) => recipientOf(slot, imageId) ?? []);
    if (wanted.length === 0 || (this.#shown !== undefined && !wanted.includes(this.#shown))) return undefined;
    for (const key of await this.#openKeys()) {
      const opened = unwrapWithPrivateKey(slots, imageId, key, this.source);
      if (opened !== undefined) return opened;
    }
    return undefined;
  }

  readonly withPrivateKeys = async <T>(
    _all: boolean,
    use: (keys: readonly NamedPrivateKey[]) => Promise<T>,
  ): Promise<T> => use((await this.#openKeys()).map((key) => ({ source: this.source, key })));

  /** Whether a passphrase protects it still. */
  get isProtected(): boolean {
    return this.#keys === undefined;
  }

  /** Wipes the keys. */
  dispose(): void {
    for (const key of this.#keys ?? []) key.dispose();
    this.#contents?.wipe();
  }

  #take(contents: Buffer): void {
    try {
      this.#keys = readPrivateKeys(contents).map(forSlots);
    } catch (error) {
      if (!(error instanceof KeyProblem) || error.reason !== 'passphrase-needed') throw error;
      const shown = shownPublicKey(contents);
      this.#shown = shown && keyIdOf(shown);
      this.#contents = Secret.copy(contents);
    }
  }

  async #openKeys(): Promise<readonly PrivateKey[]> {
    if (this.#keys !== undefined) return this.#keys;
    const contents = this.#contents;
    if (contents === undefined) throw disposedKey();
    const passphrase = await this.#passphrase?.();
    try {
      this.#keys = (await openPrivateKeys(bufferOver(contents), passphrase)).map(forSlots);
      contents.wipe();
      return this.#keys;
    } catch (error) {
      throw asKeyFileError(KIND, this.#path, error);
    } finally {
      passphrase?.wipe();
    }
  }
}

/** Returns the thumbprint of a key as slots name it: an Ed25519 key is used as an X25519 key. */
export function keyIdOf(jwk: PublicJwk): string {
  const isForSignatures = jwk.kty === 'OKP' && jwk.crv === 'Ed25519';
  return thumbprint((isForSignatures ? x25519Of(jwk) : undefined) ?? jwk);
}

/** Returns the key that opens slots: that of an Ed25519 key is an X25519 key. */
function forSlots(key: PrivateKey): PrivateKey {
  if (key.publicJwk.kty !== 'OKP' || key.publicJwk.crv !== 'Ed25519') return key;
  try {
    return key.asX25519();
  } finally {
    key.dispose();
  }
}

function bufferOver({ bytes }: Secret): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
