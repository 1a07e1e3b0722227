import { existsSync, unlinkSync } from 'node:fs';
import { absolutePath } from '../../base/current-directory.ts';
import { CkptfsError } from '../../base/errors.ts';
import { forbidDumps } from '../../crypto/hardening.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { Slot } from '../../format/slot.ts';
import { slotInstant } from '../../format/slot-description.ts';
import { createDefaultKey, defaultKeyPath } from '../../keys/default-key.ts';
import { type KeyFile, type KeyFileWarning, readKeyFile, readKeyFromInput } from '../../keys/key-file.ts';
import { type Identity, type KeyProvider, neededFor, type Recipient } from '../../keys/provider.ts';
import { symmetricKeyProvider } from '../../keys/symmetric-key.ts';
import { keyFileWarning } from '../hints.ts';
import type { KeyArguments, RecipientArguments } from './key-options.ts';
import type { OtherKeys } from './other-keys.ts';

/** Keys that a command holds until it is done. */
export class HeldKeys {
  /** Warnings about the keys, for the user. */
  readonly warnings: string[] = [];
  /** Keys in files, which are all that most commands get. */
  readonly #inFiles: KeyProvider[] = [];
  readonly #secrets: Secret[] = [];
  #others: OtherKeys | undefined;
  #readKept: ((imageId: Buffer) => Secret | undefined) | undefined;
  #madeDefault: string | undefined;

  private constructor() {
    if (!forbidDumps()) this.warnings.push('keys may get into a core file: PR_SET_DUMPABLE was refused');
  }

  /**
   * Reads the keys that the arguments name. What asks a user, a command or a server is read when it is needed.
   * @throws CkptfsError `bad-key-file`, `bad-argument`, `untrusted`
   */
  static async read(args: KeyArguments & RecipientArguments): Promise<HeldKeys> {
    const keys = new HeldKeys();
    try {
      for (const path of args.keyFile ?? []) keys.#inFiles.push(keys.#namedFile(path));
      if (hasOthers(args)) {
        const { OtherKeys } = await import('./other-keys.ts');
        keys.#others = await OtherKeys.read(args, (warning) => keys.#warn(warning));
        keys.warnings.push(...keys.#others.warnings);
      }
      if (keys.#named.length === 0) keys.#readKept = (await import('../../keys/keyring.ts')).readImageKey;
      return keys;
    } catch (error) {
      keys.wipe();
      throw error;
    }
  }

  /**
   * Returns what may open an image: what was named or, if nothing was, its default key.
   * @param slots of the image
   * @throws CkptfsError `no-key` when there is none, `bad-key-file`
   */
  readonly forOpening = (imageId: Buffer, slots: readonly Slot[]): readonly Identity[] => {
    if (this.#named.length > 0) return this.#named;
    const path = defaultKeyPath(imageId);
    if (existsSync(path)) return [this.#fromFile(readKeyFile(path), `key file ${path}`)];
    throw new CkptfsError('no-key', `no key was given, and there is none for this image at ${path}`, {
      path,
      data: { needs: neededFor(slots) },
    });
  };

  /** Returns the key of an image that `ckptfs key cache` gave to the kernel, if no other key was named. */
  readonly keptKey = (imageId: Buffer): Secret | undefined => {
    try {
      return this.#readKept?.(imageId);
    } catch (error) {
      // A kernel or a container without keyrings keeps no keys.
      if (error instanceof CkptfsError && error.code === 'missing-feature') return undefined;
      throw error;
    }
  };

  /**
   * Refuses what only opens images, and reads every secret that a new image is made for, so that nothing is made if
   * one of them cannot be had.
   * @throws CkptfsError `bad-argument`, `bad-key-file`, `key-unavailable`, `interrupted`
   */
  async prepareForCreating(): Promise<void> {
    if (this.#others?.onlyOpens === true) {
      throw new CkptfsError('bad-argument', 'a private key only opens images; a new one is made for its public key', {
        data: { reason: 'private-key' },
      });
    }
    await this.#others?.readSecrets();
  }

  /**
   * Returns what a new image is made for: what was named or, if nothing was, a new default key.
   * @throws CkptfsError `exists`, `io`
   */
  forCreating(imageId: Buffer): readonly Recipient[] {
    const given = [...this.#inFiles, ...(this.#others?.recipients ?? [])];
    if (given.length > 0) return given;
    this.#madeDefault = createDefaultKey(imageId);
    return [this.#fromFile(readKeyFile(this.#madeDefault), `key file ${this.#madeDefault}`)];
  }

  /**
   * Returns the recipients of `--recipient` alone, for an image that exists.
   * @throws CkptfsError `bad-argument` without any
   */
  get newRecipients(): readonly Recipient[] {
    const recipients = this.#others?.namedRecipients ?? [];
    if (recipients.length > 0) return recipients;
    throw new CkptfsError('bad-argument', 'no recipient is given for the new key slot', {
      data: { reason: 'no-recipient' },
    });
  }

  /** Path of the key that {@link forCreating} made. */
  get madeDefault(): string | undefined {
    return this.#madeDefault;
  }

  /** Removes the key that {@link forCreating} made, because its image was not made. */
  forgetMadeDefault(): void {
    if (this.#madeDefault !== undefined) unlinkSync(this.#madeDefault);
    this.#madeDefault = undefined;
  }

  wipe(): void {
    for (const secret of this.#secrets) secret.wipe();
    this.#others?.wipe();
  }

  /** What was named to open images. */
  get #named(): readonly Identity[] {
    return [...this.#inFiles, ...(this.#others?.identities ?? [])];
  }

  #namedFile(path: string): KeyProvider {
    if (path === '-') return this.#fromFile(readKeyFromInput(), 'the key on standard input');
    absolutePath(path);
    return this.#fromFile(readKeyFile(path), `key file ${path}`);
  }

  /** @param source names the key in messages */
  #fromFile({ key, warning }: KeyFile, source: string): KeyProvider {
    this.#secrets.push(key);
    if (warning !== undefined) this.#warn(warning);
    return symmetricKeyProvider(key, source, { kind: 'key', created: slotInstant(new Date()) });
  }

  #warn(warning: KeyFileWarning): void {
    this.warnings.push(keyFileWarning(warning));
  }
}

/** Returns whether arguments name more than key files, so that code for it has to be loaded. */
export function hasOthers(args: KeyArguments & RecipientArguments): boolean {
  const lists = [args.key, args.privateKey, args.keyDir, args.allowKeyUrl, args.recipient];
  return lists.some((list) => (list ?? []).length > 0) || args.passphraseFile !== undefined;
}
