import { existsSync, unlinkSync } from 'node:fs';
import { absolutePath } from '../../base/current-directory.ts';
import { CkptfsError } from '../../base/errors.ts';
import { forbidDumps } from '../../crypto/hardening.ts';
import type { Secret } from '../../crypto/secret.ts';
import { type CipherName, DEFAULT_CIPHER } from '../../format/ciphers.ts';
import type { Slot } from '../../format/slot.ts';
import { slotInstant } from '../../format/slot-description.ts';
import { checkSuite, DEFAULT_SUITE, type SuiteName } from '../../format/suites.ts';
import { createDefaultKey, defaultKeyPath } from '../../keys/default-key.ts';
import { type KeyFile, type KeyFileWarning, readKeyFile, readKeyFromInput } from '../../keys/key-file.ts';
import { type Identity, type KeyProvider, neededFor, type Recipient } from '../../keys/provider.ts';
import { isKeyService } from '../../keys/sources/schemes.ts';
import { symmetricKeyProvider } from '../../keys/symmetric-key.ts';
import type { Opening } from '../../library/unlock.ts';
import type { ImageCiphers, Policies } from '../config/enforcement.ts';
import { mayBeConfigured, mayHavePolicy } from '../config/places.ts';
import { keyFileWarning } from '../hints.ts';
import { auditTarget, openAudit } from './audit.ts';
import {
  configuredForMaking,
  configuredForOpening,
  withConfiguredChecks,
  withConfiguredServers,
} from './configured-keys.ts';
import type { KeyArguments, RecipientArguments } from './key-options.ts';
import type { OtherKeys } from './other-keys.ts';

/** What keys are used for. Where none are named, those of a configuration differ for the two. */
export type KeyUse = 'open' | 'make';

/** How a new image is encrypted, as far as that was said. */
interface NewCiphers {
  readonly suite?: SuiteName | undefined;
  readonly cipher?: CipherName | undefined;
}

/** What opened an image. */
export interface KeyOrigin {
  readonly slot?: number | undefined;
  readonly source?: string | undefined;
  /** See `OpenedSlot`. */
  readonly leaseSeconds?: number | undefined;
  readonly fetchedAt?: number | undefined;
}

/** Keys that a command holds until it is done. */
export class HeldKeys {
  /** Warnings about the keys, for the user. */
  readonly warnings: string[] = [];
  /** Keys in files, which are all that most commands get. */
  readonly #inFiles: KeyProvider[] = [];
  readonly #others: OtherKeys[] = [];
  readonly #secrets: Secret[] = [];
  #policies: Policies | undefined;
  #origin: KeyOrigin = {};
  #audit: { readonly onOpening: (opening: Opening) => void; readonly close: () => void } | undefined;
  /** The arguments of a command that names no keys, until the configuration was asked. */
  #unnamed: (KeyArguments & RecipientArguments) | undefined;
  #readKept: ((imageId: Buffer) => Secret | undefined) | undefined;
  #label: string | undefined;
  #args: KeyArguments & RecipientArguments = {};
  #madeDefault: string | undefined;

  private constructor() {
    if (!forbidDumps()) this.warnings.push('keys may get into a core file: PR_SET_DUMPABLE was refused');
  }

  /**
   * Reads the keys that the arguments name. What asks a user, a command or a server is read when it is needed, and so
   * is the configuration that counts where no keys are named.
   * @throws CkptfsError `bad-key-file`, `bad-argument`, `untrusted`, `forbidden-by-policy`
   */
  static async read(args: KeyArguments & RecipientArguments, use: KeyUse = 'open'): Promise<HeldKeys> {
    const keys = new HeldKeys();
    try {
      await keys.#read(args, use);
      return keys;
    } catch (error) {
      keys.wipe();
      throw error;
    }
  }

  /**
   * Returns what may open an image: what was named or, if nothing was, what a configuration names, or its default key.
   * @param slots of the image
   * @throws CkptfsError `no-key` when there is none, `bad-key-file`, `bad-argument`, `forbidden-by-policy`
   */
  readonly forOpening = async (imageId: Buffer, slots: readonly Slot[]): Promise<readonly Identity[]> => {
    await this.#takeConfigured();
    if (this.#named.length > 0) return this.#named;
    const path = defaultKeyPath(imageId);
    if (existsSync(path)) {
      this.#policies?.checkKeySource('file');
      return [this.#fromFile(readKeyFile(path), `key file ${path}`)];
    }
    throw new CkptfsError('no-key', `no key was given, and there is none for this image at ${path}`, {
      path,
      data: { needs: neededFor(slots) },
    });
  };

  /** Returns what may have the private key of a directory that CRIU encrypted. @throws as {@link forOpening} */
  readonly forPrivateKeys = async (): Promise<readonly Identity[]> => {
    await this.#takeConfigured();
    return this.#named;
  };

  /** Refuses directories that CRIU encrypted, where a policy allows some ciphers only. @throws as {@link admit} */
  readonly admitCriu = (): void => this.#policies?.checkCriu();

  /** The only key slot that is tried. */
  get keySlot(): string | undefined {
    return this.#args.keySlot;
  }

  /** Keeps a line about each opening, where that is asked for. @throws CkptfsError `io` */
  readonly onOpening = (opening: Opening): void => {
    this.#audit?.onOpening(opening);
    const { slot, source, leaseSeconds, fetchedAt } = opening;
    this.#origin = { slot: slot === undefined ? undefined : slot + 1, source, leaseSeconds, fetchedAt };
  };

  /** What opened the image that was opened last: the slot, from 1, and what opened it. */
  get origin(): KeyOrigin {
    return this.#origin;
  }

  /** Refuses an image that a policy does not allow. @throws CkptfsError `forbidden-by-policy` */
  readonly admit = (image: ImageCiphers): void => this.#policies?.checkImage(image);

  /**
   * Refuses to give a key to the kernel, where a policy allows none from there.
   * @throws CkptfsError `forbidden-by-policy`
   */
  checkKeeping(): void {
    this.#policies?.checkKeySource('keyring');
  }

  /** Whether a policy lets the kernel keep keys. */
  get mayBeKept(): boolean {
    return this.#policies?.allowsKeySource('keyring') !== false;
  }

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
   * Refuses to write into an image that exists, if a policy does not allow it.
   * @throws CkptfsError `forbidden-by-policy`
   */
  checkWriting(): void {
    this.#policies?.checkWriting();
  }

  /**
   * Refuses what only opens images and what a policy does not allow.
   * @throws CkptfsError `bad-argument`, `forbidden-by-policy`
   */
  checkForCreating(image: NewCiphers): void {
    const { suite = DEFAULT_SUITE, cipher = DEFAULT_CIPHER } = image;
    this.#policies?.checkImage({ suite, cipher });
    checkSuite({ suite, cipher });
    if (this.#recipients.length === 0) this.#policies?.checkKeySource('file');
    if (this.#others.some(({ onlyOpens }) => onlyOpens)) {
      throw new CkptfsError('bad-argument', 'a private key only opens images; a new one is made for its public key', {
        data: { reason: 'private-key' },
      });
    }
    this.#refuseInVain();
    if (this.#args.keySlot !== undefined) {
      throw new CkptfsError('bad-argument', '--key-slot is for an image that exists, and a new one is made');
    }
  }

  /**
   * Does {@link checkForCreating}, and reads every secret that a new image is made for, so that nothing is made if one
   * of them cannot be had.
   * @throws CkptfsError `bad-argument`, `bad-key-file`, `key-unavailable`, `interrupted`, `forbidden-by-policy`
   */
  async prepareForCreating(image: NewCiphers): Promise<void> {
    this.checkForCreating(image);
    for (const others of this.#others) await others.readSecrets();
  }

  /**
   * Returns what a new image is made for: what was named or, if nothing was, a new default key.
   * @throws CkptfsError `exists`, `io`
   */
  forCreating(imageId: Buffer): readonly Recipient[] {
    if (this.#recipients.length > 0) return this.#recipients;
    this.#madeDefault = createDefaultKey(imageId);
    return [this.#fromFile(readKeyFile(this.#madeDefault), `key file ${this.#madeDefault}`)];
  }

  /**
   * Returns the recipients of `--recipient` alone, for an image that exists.
   * @throws CkptfsError `bad-argument` without any
   */
  get newRecipients(): readonly Recipient[] {
    const recipients = this.#others.flatMap(({ namedRecipients }) => namedRecipients);
    if (recipients.length > 0) return recipients;
    throw new CkptfsError('bad-argument', 'no recipient is given for the new key slot', {
      data: { reason: 'no-recipient' },
    });
  }

  /** Whether {@link forCreating} makes a new key, because none was named. */
  get makesDefault(): boolean {
    return this.#recipients.length === 0;
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
    for (const others of this.#others) others.wipe();
    this.#audit?.close();
    this.#audit = undefined;
  }

  /** Asks the configuration, once, where no keys are named. */
  async #takeConfigured(): Promise<void> {
    const unnamed = this.#unnamed;
    this.#unnamed = undefined;
    if (unnamed !== undefined && mayBeConfigured()) await this.#take(await configuredForOpening(unnamed));
  }

  /** What was named to open images. */
  get #named(): readonly Identity[] {
    return [...this.#inFiles, ...this.#others.flatMap(({ identities }) => identities)];
  }

  /** What a new image is made for. */
  get #recipients(): readonly Recipient[] {
    return [...this.#inFiles, ...this.#others.flatMap(({ recipients }) => recipients)];
  }

  async #read(args: KeyArguments & RecipientArguments, use: KeyUse): Promise<void> {
    this.#args = args;
    const audit = auditTarget(args);
    if (audit !== undefined) this.#audit = openAudit(audit);
    if (args.policy !== undefined || mayHavePolicy()) {
      this.#policies = (await import('../config/enforcement.ts')).Policies.read(args.policy);
      this.#policies.checkProvider();
    }
    const isUnnamed = !namesKeys(args);
    const hasRecipients = (args.recipient ?? []).length > 0;
    const asked = namesServer(args) ? await withConfiguredServers(args) : args;
    if (use === 'make' && isUnnamed && !hasRecipients && mayBeConfigured()) {
      return this.#take(await configuredForMaking(args));
    }
    await this.#take(hasRecipients && mayBeConfigured() ? await withConfiguredChecks(asked) : asked);
    if (use === 'make' || !isUnnamed) return;
    this.#unnamed = args;
    if (this.mayBeKept) {
      this.#readKept = (await import('../../keys/keyring.ts')).readImageKey;
    }
  }

  async #take(args: KeyArguments & RecipientArguments): Promise<void> {
    this.#policies?.checkKeys(args);
    this.#label = args.label;
    for (const path of args.keyFile ?? []) this.#inFiles.push(this.#namedFile(path));
    if (!hasOthers(args)) return;
    const { OtherKeys } = await import('./other-keys.ts');
    const others = await OtherKeys.read(args, (warning) => this.#warn(warning), this.#policies?.recipientChecks);
    this.#others.push(others);
    this.warnings.push(...others.warnings);
  }

  /** Refuses checks of certificates where no recipient is named that they could be for. */
  #refuseInVain(): void {
    const { recipient = [], caFile, crlFile, ocsp, force } = this.#args;
    if (recipient.length > 0) return;
    const given = { '--ca-file': caFile, '--crl-file': crlFile, '--ocsp': ocsp, '--force': force || undefined };
    const [option] = Object.entries(given).find(([, value]) => value !== undefined) ?? [];
    if (option === undefined) return;
    throw new CkptfsError('bad-argument', `${option} is for a recipient, and none is given`, {
      data: { reason: 'no-recipient' },
    });
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
    const label = this.#label === undefined ? {} : { label: this.#label };
    return symmetricKeyProvider(key, source, { kind: 'key', ...label, created: slotInstant(new Date()) });
  }

  #warn(warning: KeyFileWarning): void {
    this.warnings.push(keyFileWarning(warning));
  }
}

/** Returns whether arguments name more than key files, so that code for it has to be loaded. */
export function hasOthers(args: KeyArguments & RecipientArguments): boolean {
  return namesKeys({ ...args, keyFile: [] }) || (args.recipient ?? []).length > 0;
}

/** Returns whether arguments name something that opens images. */
function namesKeys(args: KeyArguments): boolean {
  const lists = [args.keyFile, args.key, args.privateKey, args.keyDir, args.allowKeyUrl];
  return lists.some((list) => (list ?? []).length > 0) || args.passphraseFile !== undefined;
}

/** Returns whether arguments name a server of keys. */
function namesServer({ key = [], recipient = [] }: KeyArguments & RecipientArguments): boolean {
  return [...key, ...recipient].some((text) => isKeyService(text) || text.startsWith('https:'));
}
