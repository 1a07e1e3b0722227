import { existsSync, unlinkSync } from 'node:fs';
import type { Argv } from 'yargs';
import { absolutePath } from '../../base/current-directory.ts';
import { CkptfsError } from '../../base/errors.ts';
import { forbidDumps } from '../../crypto/hardening.ts';
import type { Secret } from '../../crypto/secret.ts';
import { slotInstant } from '../../format/slot-description.ts';
import { createDefaultKey, defaultKeyPath } from '../../keys/default-key.ts';
import { type KeyFile, readKeyFile, readKeyFromInput } from '../../keys/key-file.ts';
import type { KeyProvider } from '../../keys/provider.ts';
import { symmetricKeyProvider } from '../../keys/symmetric-key.ts';
import { keyFileWarning } from '../hints.ts';

/** Every way to name a key on the command line. Only this file must change for a further kind of key. */
export interface KeyArguments {
  readonly keyFile: readonly string[] | undefined;
}

/** Like {@link KeyArguments}, with the names that yargs gives them. */
export interface KeyOptions {
  'key-file': string[] | undefined;
}

export function withKeyOptions<T>(yargs: Argv<T>): Argv<T & KeyOptions> {
  return yargs.option('key-file', {
    alias: 'k',
    type: 'string',
    array: true,
    nargs: 1,
    describe:
      'File with a key of 16, 24 or 32 bytes in hexadecimal, - for standard input; may be given again for a further key',
  });
}

/** Keys that a command holds until it is done. */
export class HeldKeys {
  /** Warnings about the keys, for the user. */
  readonly warnings: string[] = [];
  readonly #given: readonly KeyProvider[];
  readonly #secrets: Secret[] = [];
  #madeDefault: string | undefined;

  /** Reads the keys that the arguments name. @throws CkptfsError `bad-key-file` */
  constructor(args: KeyArguments) {
    if (!forbidDumps()) this.warnings.push('keys may get into a core file: PR_SET_DUMPABLE was refused');
    try {
      this.#given = (args.keyFile ?? []).map((path) => {
        if (path !== '-') absolutePath(path);
        return path === '-'
          ? this.#from(readKeyFromInput(), 'the key on standard input')
          : this.#from(readKeyFile(path), `key file ${path}`);
      });
    } catch (error) {
      this.wipe();
      throw error;
    }
  }

  /**
   * Returns the keys that may open an image: those that were named or, without any, its default key.
   * @throws CkptfsError `no-key` when there is none, `bad-key-file`
   */
  forOpening(imageId: Buffer): readonly KeyProvider[] {
    if (this.#given.length > 0) return this.#given;
    const path = defaultKeyPath(imageId);
    if (existsSync(path)) return [this.#from(readKeyFile(path), `key file ${path}`)];
    throw new CkptfsError('no-key', `no key was given, and there is none for this image at ${path}`, {
      path,
    });
  }

  /**
   * Returns the keys that will open a new image: those that were named or, without any, a new default key.
   * @throws CkptfsError `exists`, `io`
   */
  forCreating(imageId: Buffer): readonly KeyProvider[] {
    if (this.#given.length > 0) return this.#given;
    this.#madeDefault = createDefaultKey(imageId);
    return [this.#from(readKeyFile(this.#madeDefault), `key file ${this.#madeDefault}`)];
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
  }

  /** @param source names the key in messages */
  #from({ key, warning }: KeyFile, source: string): KeyProvider {
    this.#secrets.push(key);
    if (warning !== undefined) this.warnings.push(keyFileWarning(warning));
    return symmetricKeyProvider(key, source, { kind: 'key', created: slotInstant(new Date()) });
  }
}
