import { disposedKey } from '../../crypto/checks.ts';
import { KeyProblem } from '../../crypto/key-problem.ts';
import type { PrivateKey } from '../../crypto/private-key.ts';
import { readPrivateKey } from '../../crypto/private-key-file.ts';
import { thumbprint } from '../../crypto/public-key.ts';
import { Secret } from '../../crypto/secret.ts';
import type { Slot } from '../../format/slot.ts';
import type { KeyFileWarning } from '../key-file.ts';
import { asKeyFileError, readKeyMaterial } from '../key-material.ts';
import type { Identity, OpenedSlot } from '../provider.ts';
import { recipientOf, unwrapWithPrivateKey } from '../slots/public-key.ts';

/** Gets a passphrase, which is wiped after use. Is called only when the key may fit a slot of the image. */
export type PassphraseReader = () => Promise<Secret>;

const KIND = 'private key';

/**
 * A private key in a file, in each form of {@link readPrivateKey}. It opens only slots with its thumbprint. The caller
 * disposes of it.
 */
export class PrivateKeyFile implements Identity {
  readonly source: string;
  readonly #path: string;
  readonly #passphrase: PassphraseReader | undefined;
  /** Contents that a passphrase protects, until they are opened. */
  #contents: Secret | undefined;
  #key: PrivateKey | undefined;
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

  /** The thumbprint of its key; undefined while a passphrase protects it. */
  get keyId(): string | undefined {
    return this.#key && thumbprint(this.#key.publicJwk);
  }

  /** @throws CkptfsError `bad-key-file` when it needs a passphrase and gets none or a wrong one; `damaged` */
  async unwrap(slots: readonly Slot[], imageId: Buffer): Promise<OpenedSlot | undefined> {
    if (!slots.some((slot) => recipientOf(slot, imageId) !== undefined)) return undefined;
    return unwrapWithPrivateKey(slots, imageId, await this.#openKey(), this.source);
  }

  /** Wipes the key. */
  dispose(): void {
    this.#key?.dispose();
    this.#contents?.wipe();
  }

  #take(contents: Buffer): void {
    try {
      this.#key = forSlots(readPrivateKey(contents));
    } catch (error) {
      if (!(error instanceof KeyProblem) || error.reason !== 'passphrase-needed') throw error;
      this.#contents = Secret.copy(contents);
    }
  }

  async #openKey(): Promise<PrivateKey> {
    if (this.#key !== undefined) return this.#key;
    const contents = this.#contents;
    if (contents === undefined) throw disposedKey();
    const passphrase = await this.#passphrase?.();
    try {
      this.#key = forSlots(readPrivateKey(bufferOver(contents), passphrase));
      contents.wipe();
      return this.#key;
    } catch (error) {
      throw asKeyFileError(KIND, this.#path, error);
    } finally {
      passphrase?.wipe();
    }
  }
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
