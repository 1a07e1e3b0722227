import { existsSync, unlinkSync } from 'node:fs';
import type { Argv } from 'yargs';
import { absolutePath } from '../../base/current-directory.ts';
import { CkptfsError } from '../../base/errors.ts';
import { forbidDumps } from '../../crypto/hardening.ts';
import type { Secret } from '../../crypto/secret.ts';
import { createDefaultKey, defaultKeyPath } from '../../keys/default-key.ts';
import { type KeyFile, keyFileProvider, readKeyFile, readKeyFromInput } from '../../keys/key-file.ts';
import type { KeyProvider } from '../../keys/provider.ts';

/** Every way to name a key on the command line, and how each becomes a provider. A further kind of key is added here alone. */
export interface KeyArguments {
  readonly keyFile: readonly string[] | undefined;
}

/** The same as yargs types them. */
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
  /** What the user should be told about the keys. */
  readonly warnings: string[] = [];
  readonly #given: readonly KeyProvider[];
  readonly #secrets: Secret[] = [];
  #madeDefault: string | undefined;

  /** Reads the keys that were named. @throws CkptfsError `bad-key-file` */
  constructor(args: KeyArguments) {
    if (!forbidDumps()) this.warnings.push('keys may get into a core file: PR_SET_DUMPABLE was refused');
    try {
      this.#given = (args.keyFile ?? []).map((path) => {
        if (path !== '-') absolutePath(path);
        return this.#from(path === '-' ? readKeyFromInput() : readKeyFile(path));
      });
    } catch (error) {
      this.wipe();
      throw error;
    }
  }

  /**
   * What may open an image: the keys that were named or, without any, the image's default key.
   * @throws CkptfsError `no-key` when there is none, `bad-key-file`
   */
  forOpening(imageId: Buffer): readonly KeyProvider[] {
    if (this.#given.length > 0) return this.#given;
    const path = defaultKeyPath(imageId);
    if (existsSync(path)) return [this.#from(readKeyFile(path))];
    throw new CkptfsError('no-key', `no key was given, and there is none for this image at ${path}`, {
      path,
    });
  }

  /**
   * What a new image is to be opened with: the keys that were named or, without any, a new default key.
   * @throws CkptfsError `exists`, `io`
   */
  forCreating(imageId: Buffer): readonly KeyProvider[] {
    if (this.#given.length > 0) return this.#given;
    this.#madeDefault = createDefaultKey(imageId);
    return [this.#from(readKeyFile(this.#madeDefault))];
  }

  /** Path of the key that {@link forCreating} made. */
  get madeDefault(): string | undefined {
    return this.#madeDefault;
  }

  /** For an image that did not come about: a key of nothing would only be in the way. */
  forgetMadeDefault(): void {
    if (this.#madeDefault !== undefined) unlinkSync(this.#madeDefault);
    this.#madeDefault = undefined;
  }

  wipe(): void {
    for (const secret of this.#secrets) secret.wipe();
  }

  #from({ key, warning }: KeyFile): KeyProvider {
    this.#secrets.push(key);
    if (warning !== undefined) this.warnings.push(warning);
    return keyFileProvider(key);
  }
}
