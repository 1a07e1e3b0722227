import { CkptfsError } from '../../base/errors.ts';
import { isFipsDemanded } from '../../crypto/provider.ts';
import type { CipherName } from '../../format/ciphers.ts';
import type { SuiteName } from '../../format/suites.ts';
import { hasKeyScheme, schemeOf } from '../../keys/sources/schemes.ts';
import { mayHavePolicy } from './places.ts';
import { type KeySourceKind, type Policy, type PolicyChecks, readFurtherPolicy, readHostPolicy } from './policy.ts';

/** What names keys in a command or a configuration, as far as a policy looks at it. */
export interface NamedKeys {
  readonly keyFile?: readonly string[] | undefined;
  readonly key?: readonly string[] | undefined;
  readonly passphraseFile?: string | undefined;
  readonly privateKey?: readonly string[] | undefined;
  readonly keyDir?: readonly string[] | undefined;
  readonly allowKeyUrl?: readonly string[] | undefined;
  readonly recipient?: readonly string[] | undefined;
  readonly force?: boolean | undefined;
}

/** Checks of certificates that a policy demands, with its path for messages. */
export interface DemandedChecks {
  readonly path: string;
  readonly checks: PolicyChecks;
}

/** What a policy looks at in an image. */
export interface ImageCiphers {
  readonly suite: SuiteName;
  readonly cipher: CipherName;
}

/** The policies that hold for a command: each of them has to allow what it does. */
export class Policies {
  readonly all: readonly Policy[];

  constructor(all: readonly Policy[]) {
    this.all = all;
  }

  /**
   * Reads the policy of this host, and a further one.
   * @throws CkptfsError `forbidden-by-policy`
   */
  static read(further?: string): Policies {
    const host = mayHavePolicy() ? readHostPolicy() : undefined;
    return new Policies([...(host === undefined ? [] : [host]), ...(further ? [readFurtherPolicy(further)] : [])]);
  }

  /** Refuses all work where a FIPS provider has to compute, and none does. @throws CkptfsError `forbidden-by-policy` */
  checkProvider(): void {
    const strict = this.all.find(({ rules }) => rules.fipsProvider === true);
    if (strict === undefined || isFipsDemanded()) return;
    throw forbidden(strict.path, 'fips-provider', 'what no FIPS provider of OpenSSL computes');
  }

  /** Checks how an image is encrypted, one that exists or is to be made. @throws CkptfsError `forbidden-by-policy` */
  checkImage({ suite, cipher }: ImageCiphers): void {
    for (const { path, rules } of this.all) {
      const { ciphers } = rules;
      if (rules.suite !== undefined && rules.suite !== suite) {
        throw forbidden(path, 'suite', `images of suite ${suite}; it allows suite ${rules.suite}`);
      }
      if (ciphers === undefined || ciphers.includes(cipher)) continue;
      throw forbidden(path, 'cipher', `images of cipher ${cipher}; it allows ${ciphers.join(', ')}`);
    }
  }

  /** Refuses directories that CRIU encrypted where only some ciphers are allowed. @throws as {@link checkImage} */
  checkCriu(): void {
    const suited = this.all.find(({ rules }) => rules.suite === 'fips');
    if (suited !== undefined) {
      throw forbidden(suited.path, 'suite', 'directories that CRIU encrypted; it allows images of suite fips');
    }
    const strict = this.all.find(({ rules }) => rules.ciphers !== undefined);
    if (strict === undefined) return;
    const allowed = strict.rules.ciphers?.join(', ') ?? '';
    throw forbidden(strict.path, 'cipher', `directories that CRIU encrypted; it allows images of ${allowed}`);
  }

  /** @throws CkptfsError `forbidden-by-policy` */
  checkKeys(named: NamedKeys): void {
    for (const kind of kindsOf(named)) this.checkKeySource(kind);
    if (named.force !== true) return;
    const strict = this.all.find(({ rules }) => rules.recipientChecks?.force === false);
    if (strict !== undefined) throw forbidden(strict.path, 'force', '--force');
  }

  /** @throws CkptfsError `forbidden-by-policy` */
  checkKeySource(kind: KeySourceKind): void {
    for (const { path, rules } of this.all) {
      const { keySources } = rules;
      if (keySources === undefined || keySources.includes(kind)) continue;
      throw forbidden(path, 'key-source', `${titles[kind]} (${kind}); it allows ${keySources.join(', ')}`);
    }
  }

  allowsKeySource(kind: KeySourceKind): boolean {
    return this.all.every(({ rules }) => rules.keySources?.includes(kind) !== false);
  }

  /**
   * Refuses to write into an image that exists where only signed images may be read: what is there would be served.
   * @throws CkptfsError `forbidden-by-policy`
   */
  checkWriting(): void {
    const demanding = this.all.find(({ rules }) => rules.requireSignature === true);
    if (demanding === undefined) return;
    throw forbidden(demanding.path, 'writing', 'writing into an image that exists: it requires signatures');
  }

  /** How certificates of recipients are checked besides what the user demands. */
  get recipientChecks(): readonly DemandedChecks[] {
    return this.all.flatMap(({ path, rules: { recipientChecks: checks } }) => (checks ? [{ path, checks }] : []));
  }
}

/** Makes the error of what a policy forbids. @param what completes "policy FILE forbids" */
export function forbidden(path: string, reason: Reason, what: string): CkptfsError {
  return new CkptfsError('forbidden-by-policy', `policy ${path} forbids ${what}`, { path, data: { reason } });
}

type Reason = 'suite' | 'fips-provider' | 'cipher' | 'key-source' | 'force' | 'recipient' | 'writing';

const titles: Readonly<Record<KeySourceKind, string>> = {
  file: 'keys from key files',
  stdin: 'keys from standard input',
  fd: 'keys from descriptors',
  env: 'keys from environment variables',
  cmd: 'keys from commands',
  https: 'keys from servers',
  keyring: 'keys from the kernel keyring',
  passphrase: 'passphrases',
  'private-key': 'private keys',
  keyprovider: 'keys of key providers',
  tpm2: 'keys of a TPM',
  vault: 'keys of Vault',
  pkcs11: 'keys of PKCS #11 tokens',
  kmip: 'keys of KMIP servers',
};

/** Returns the kinds of sources that are named. */
function kindsOf(named: NamedKeys): Set<KeySourceKind> {
  const { keyFile = [], key = [], passphraseFile, privateKey = [], keyDir = [], allowKeyUrl = [] } = named;
  return new Set<KeySourceKind>([
    ...keyFile.map((path) => (path === '-' ? 'stdin' : 'file')),
    ...[...key, ...(named.recipient ?? []).filter(hasKeyScheme)].flatMap(kindsOfSource),
    ...(passphraseFile === undefined ? [] : (['passphrase'] as const)),
    ...(privateKey.length + keyDir.length > 0 ? (['private-key'] as const) : []),
    ...(allowKeyUrl.length > 0 ? (['https'] as const) : []),
  ]);
}

/**
 * A passphrase from a command is from both. What has no scheme is no source, and is refused as that: no message repeats
 * it, since it may be a key.
 */
function kindsOfSource(text: string): KeySourceKind[] {
  if (text.startsWith('passphrase:cmd:')) return ['passphrase', 'cmd'];
  return hasKeyScheme(text) ? [schemeOf(text) as KeySourceKind] : [];
}
