import { CkptfsError } from '../../base/errors.ts';
import { type SlotDescription, slotInstant } from '../../format/slot-description.ts';
import type { CertificateChecks } from '../../keys/certificates/certificate-checks.ts';
import { keyDirectory } from '../../keys/identities/key-directory.ts';
import { PrivateKeyFile } from '../../keys/identities/private-key-file.ts';
import type { KeyFileWarning } from '../../keys/key-file.ts';
import type { Identity, KeyProvider, Recipient } from '../../keys/provider.ts';
import { checkRecipient } from '../../keys/recipients/check-recipient.ts';
import type { CheckedRecipient } from '../../keys/recipients/pem.ts';
import { isRecipientText, readRecipients } from '../../keys/recipients/read-recipients.ts';
import { IterationBudget } from '../../keys/slots/pbes2.ts';
import { askForPassphrase, refusePrompts } from '../../keys/sources/prompt.ts';
import { openKeySource } from '../../keys/sources/registry.ts';
import { hasKeyScheme, isKeyService } from '../../keys/sources/schemes.ts';
import type { SourceOptions } from '../../keys/sources/source.ts';
import { sourceProvider } from '../../keys/sources/source-provider.ts';
import { urlIdentity } from '../../keys/sources/url-identity.ts';
import { labelled } from '../../library/key-slots.ts';
import { checkPaths } from '../command.ts';
import type { DemandedChecks } from '../config/enforcement.ts';
import { checkByPolicy } from '../config/recipient-check.ts';
import type { KeyArguments, RecipientArguments } from './key-options.ts';
import { refuseSharedHeaders, sourceOptionsOf } from './source-options.ts';

/** What a command line names besides key files: sources of keys and passphrases, private keys, recipients. */
export class OtherKeys {
  readonly identities: Identity[] = [];
  /** What a new image is made for. */
  readonly recipients: Recipient[] = [];
  /** Those of `recipients` that `--recipient` names. */
  readonly namedRecipients: Recipient[] = [];
  /** Warnings about recipients, for the user. */
  readonly warnings: string[] = [];
  /** Whether a private key was named. */
  onlyOpens = false;
  readonly #args: KeyArguments & RecipientArguments;
  /** Checks of recipients that hold besides those of the arguments. */
  readonly #demanded: readonly DemandedChecks[];
  readonly #warn: (warning: KeyFileWarning) => void;
  readonly #sourceOptions: SourceOptions;
  /** Read or find what new slots are made with. */
  readonly #preparations: (() => Promise<unknown>)[] = [];
  /** One image costs no more, however many passphrases are tried on it. */
  readonly #budget = new IterationBudget();
  readonly #wipes: (() => void)[] = [];

  private constructor(
    args: KeyArguments & RecipientArguments,
    warn: (warning: KeyFileWarning) => void,
    demanded: readonly DemandedChecks[],
  ) {
    this.#args = args;
    this.#demanded = demanded;
    this.#warn = warn;
    this.#sourceOptions = sourceOptionsOf(args, warn);
  }

  /**
   * Reads public keys, and private keys that no passphrase protects. Everything else is read when it is needed.
   * @param demanded checks of recipients that hold besides those of the arguments
   * @throws CkptfsError `bad-key-file`, `bad-argument`, `untrusted`, `forbidden-by-policy`
   */
  static async read(
    args: KeyArguments & RecipientArguments,
    warn: (warning: KeyFileWarning) => void,
    demanded: readonly DemandedChecks[] = [],
  ): Promise<OtherKeys> {
    const keys = new OtherKeys(args, warn, demanded);
    try {
      await keys.#read();
      return keys;
    } catch (error) {
      keys.wipe();
      throw error;
    }
  }

  /**
   * Reads the secrets, and finds the keys of services, that new slots are made with.
   * @throws CkptfsError `bad-key-file`, `key-unavailable`, `interrupted`
   */
  async readSecrets(): Promise<void> {
    for (const prepare of this.#preparations) await prepare();
  }

  wipe(): void {
    for (const wipe of this.#wipes) wipe();
  }

  async #read(): Promise<void> {
    if (this.#args.asksNobody === true) refusePrompts();
    refuseSharedHeaders(this.#args);
    const { key = [], passphraseFile, privateKey = [], keyDir = [], allowKeyUrl = [], recipient = [] } = this.#args;
    for (const text of key) await this.#addSource(text);
    if (passphraseFile !== undefined) await this.#addSource(`passphrase:${passphraseFile}`);
    for (const path of privateKey) {
      const identity = await PrivateKeyFile.read(path, () => this.#passphraseOf(path));
      this.#wipes.push(() => identity.dispose());
      if (identity.warning !== undefined) this.#warn(identity.warning);
      this.identities.push(identity);
    }
    for (const path of keyDir) {
      this.identities.push(keyDirectory(path, (file) => this.#passphraseOf(file), this.#warn));
    }
    if (allowKeyUrl.length > 0) this.identities.push(urlIdentity(allowKeyUrl, this.#sourceOptions));
    this.onlyOpens = privateKey.length + keyDir.length + allowKeyUrl.length > 0;
    for (const text of recipient) {
      this.namedRecipients.push(...(await this.#recipients(text)).map((each) => this.#labelled(each)));
    }
    this.recipients.push(...this.namedRecipients);
  }

  async #addSource(text: string): Promise<void> {
    const provider = await this.#provider(text);
    this.identities.push(provider);
    this.recipients.push(this.#labelled(provider));
  }

  /** Makes a provider of the text of a source or a service. */
  async #provider(text: string): Promise<KeyProvider> {
    if (isKeyService(text)) {
      const { openKeyService } = await import('../../keys/services/registry.ts');
      const service = await openKeyService(text, this.#sourceOptions);
      this.#preparations.push(() => service.prepare());
      this.#wipes.push(() => service.wipe());
      if (service.isPublicKey === true) await this.#check({ source: service.source, certificates: [] });
      return service;
    }
    const source = await openKeySource(text, this.#sourceOptions);
    const description: SlotDescription = {
      kind: source.gives,
      created: slotInstant(new Date()),
      ...(isPublicUrl(text) ? { url: text } : {}),
    };
    const provider = sourceProvider(source, { description, budget: this.#budget });
    this.#preparations.push(() => provider.read('make'));
    this.#wipes.push(() => provider.wipe());
    return provider;
  }

  /** Reads the passphrase of a private key that fits a slot. */
  async #passphraseOf(path: string) {
    const { passphraseFile } = this.#args;
    if (passphraseFile === undefined) return askForPassphrase(`Passphrase of ${path}`);
    return (await openKeySource(`passphrase:${passphraseFile}`, this.#sourceOptions)).read();
  }

  async #recipients(text: string): Promise<readonly Recipient[]> {
    if (hasKeyScheme(text)) return [await this.#provider(text)];
    if (!isRecipientText(text)) await checkPaths({ keyFile: [text] });
    const recipients = await readRecipients(text, (message) => this.warnings.push(message));
    for (const recipient of recipients) await this.#check(recipient);
    return recipients;
  }

  async #check(recipient: CheckedRecipient): Promise<void> {
    const { caFile, crlFile, ocsp, force } = this.#args;
    const checks: CertificateChecks = {
      ...(caFile === undefined ? {} : { caFiles: caFile }),
      ...(crlFile === undefined ? {} : { crlFiles: crlFile }),
      ...(ocsp === undefined ? {} : { ocsp }),
      ...(force === undefined ? {} : { force }),
    };
    const verdict = await checkRecipient(recipient, checks);
    if (verdict === undefined) this.#checkBare(recipient);
    for (const { message } of verdict?.overridden ?? []) this.warnings.push(`${message}; accepted by --force`);
    for (const demand of this.#demanded) await checkByPolicy(recipient, demand);
  }

  /** Refuses a public key without a certificate where certificates are to be checked. */
  #checkBare({ source }: CheckedRecipient): void {
    const { caFile = [], crlFile = [], ocsp = 'off', force } = this.#args;
    if (caFile.length + crlFile.length === 0 && ocsp === 'off') return;
    const message = `${source}: it has no certificate, so that nothing can be checked`;
    if (force !== true) throw new CkptfsError('untrusted', message, { data: { reason: 'not-a-certificate' } });
    this.warnings.push(`${message}; accepted by --force`);
  }

  #labelled(recipient: Recipient): Recipient {
    const { label } = this.#args;
    if (label === undefined) return recipient;
    // A key or passphrase must still open what it made (`reencrypt` goes on with it after an interruption).
    return {
      ...recipient,
      source: recipient.source,
      wrap: async (imageKey, imageId) => labelled(await recipient.wrap(imageKey, imageId), label),
    };
  }
}

/** Returns whether a URL can be shown to anyone in a key slot: what follows the path may be a secret. */
function isPublicUrl(text: string): boolean {
  return /^https:[\x21-\x7e]{1,1000}$/.test(text) && !/[?#]/.test(text);
}
