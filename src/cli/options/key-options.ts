import type { Argv } from 'yargs';
import { countFrom } from './options.ts';

/** How a server of keys, or a command, is asked, on the command line. */
export interface KeyServerArguments {
  readonly keyTimeout?: number | undefined;
  readonly keyHeader?: readonly string[] | undefined;
  readonly keyCaFile?: string | undefined;
  readonly keyCert?: string | undefined;
  readonly keyCertKey?: string | undefined;
}

/** Every way to name what opens an image, on the command line. */
export interface KeyArguments extends KeyServerArguments {
  readonly keyFile?: readonly string[] | undefined;
  /** `SCHEME:…` */
  readonly key?: readonly string[] | undefined;
  readonly passphraseFile?: string | undefined;
  readonly privateKey?: readonly string[] | undefined;
  readonly keyDir?: readonly string[] | undefined;
  /** Beginnings of the URLs of slots that may be followed. */
  readonly allowKeyUrl?: readonly string[] | undefined;
  /** The only key slot that is tried. */
  readonly keySlot?: string | undefined;
  readonly policy?: string | undefined;
  readonly auditLog?: string | undefined;
  /** Whether no user may be asked for a passphrase or a PIN: the key must be had again without one. */
  readonly asksNobody?: boolean | undefined;
}

/** Names of the options that name keys and take several values. */
export const repeatableKeyOptions = [
  'key-file',
  'k',
  'key',
  'private-key',
  'i',
  'key-dir',
  'allow-key-url',
  'key-header',
  'destroy-key',
];

const MAX_KEY_SECONDS = 3600;

/** Adds the option that names a further policy. */
export function withPolicyOption<T>(yargs: Argv<T>) {
  return yargs.option('policy', {
    type: 'string',
    nargs: 1,
    describe: 'File with a policy that holds besides that of the host',
  });
}

/** Adds the options that name what opens an image, and what a symmetric key is that an image is made for. */
export function withKeyOptions<T>(yargs: Argv<T>) {
  const withNames = withPolicyOption(yargs)
    .option('key-file', {
      alias: 'k',
      type: 'string',
      array: true,
      nargs: 1,
      describe:
        'File with a key of 16, 24 or 32 bytes in hexadecimal, - for standard input; may be given again for a further key',
    })
    .option('key', {
      type: 'string',
      array: true,
      nargs: 1,
      describe:
        'Where a key or passphrase is: file:, env:, fd:, stdin:, cmd:, https:, keyring: or passphrase:; or a key service: ' +
        'keyprovider:, kmip:, pkcs11:, tpm2:, vault:',
    })
    .option('passphrase-file', {
      type: 'string',
      nargs: 1,
      describe: 'File with a passphrase of the image, or of a private key; see --key passphrase: to be asked',
    })
    .option('private-key', {
      alias: 'i',
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'File with the private key of a recipient: PEM, DER, PKCS #12, OpenSSH, or identities of age',
    })
    .option('key-dir', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'Directory with private keys, of which the one that fits is used',
    })
    .option('allow-key-url', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'Beginning of https URLs in key slots that may be followed to fetch a key',
    })
    .option('key-slot', {
      type: 'string',
      nargs: 1,
      describe: 'Number, label or thumbprint of the only key slot that is tried',
    });
  return withAuditLogOption(withKeyServerOptions(withNames));
}

/** Adds the option that names the audit log. */
export function withAuditLogOption<T>(yargs: Argv<T>) {
  return yargs.option('audit-log', {
    type: 'string',
    nargs: 1,
    describe: 'File for a line of JSON about each opening of an image, or syslog',
  });
}

/** Adds the options that say how a server of keys, or a command, is asked. */
export function withKeyServerOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('key-timeout', {
      type: 'string',
      nargs: 1,
      coerce: (text: string) => countFrom('--key-timeout', text, MAX_KEY_SECONDS),
      describe: 'Seconds that a command or server may take for a key, 30 unless told',
    })
    .option('key-header', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'Header field for a server of keys, its value in a file or variable: "NAME: [WORD ]@FILE"',
    })
    .option('key-ca-file', { type: 'string', nargs: 1, describe: 'Authorities that sign the servers of keys, in PEM' })
    .option('key-cert', { type: 'string', nargs: 1, describe: 'Certificate of this client, for a server of keys' })
    .option('key-cert-key', { type: 'string', nargs: 1, describe: 'Private key of that certificate' });
}

/** What an image is made for besides the keys that open it, on the command line. */
export interface RecipientArguments {
  readonly recipient?: readonly string[] | undefined;
  readonly label?: string | undefined;
  readonly caFile?: readonly string[] | undefined;
  readonly crlFile?: readonly string[] | undefined;
  readonly ocsp?: string | undefined;
  readonly force?: boolean | undefined;
}

/** Names of the options of {@link withRecipientOptions} that take several values. */
export const repeatableRecipientOptions = ['recipient', 'r', 'ca-file', 'crl-file'];

/** Adds the options that say what key slots are made for. */
export function withRecipientOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('recipient', {
      alias: 'r',
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'Who can open it: a certificate or public key, also of SSH or age (file or text), or as for --key',
    })
    .option('label', { type: 'string', nargs: 1, describe: 'What "ckptfs key list" calls the new key slots' })
    .option('ca-file', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'Authorities that certificates must be issued by, in PEM',
    })
    .option('crl-file', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'Lists of revoked certificates, of each authority in the chain',
    })
    .option('ocsp', {
      type: 'string',
      nargs: 1,
      describe: 'Responder to ask whether a certificate is revoked: auto, off or a URL',
    })
    .option('force', {
      type: 'boolean',
      default: false,
      describe: 'Accept a certificate that is expired, revoked or of an unknown issuer, with a warning',
    });
}
