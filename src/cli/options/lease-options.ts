import type { Argv } from 'yargs';
import { currentDirectoryMark } from '../../base/current-directory.ts';
import { CkptfsError } from '../../base/errors.ts';
import { isKeyService } from '../../keys/sources/schemes.ts';
import {
  type LeaseTerms,
  type OnRevoked,
  type OnUnreachable,
  revokedChoices,
  unreachableChoices,
} from '../../serve/leases/terms.ts';
import { KEY_VARIABLE } from '../config/places.ts';
import { omitUndefined } from '../omit-undefined.ts';
import type { KeyArguments, RecipientArguments } from './key-options.ts';
import { durationFrom } from './options.ts';

/** What a command line says of the lease of a mount's key. Times are in seconds. */
export interface LeaseArguments {
  readonly keyLease?: number | undefined;
  readonly onRevoked?: OnRevoked | undefined;
  readonly onUnreachable?: OnUnreachable | undefined;
  readonly keyGrace?: number | undefined;
  readonly noKeyCache?: boolean | undefined;
}

/** The default of `--key-timeout`. */
const TIMEOUT_SECONDS = 30;

/**
 * Variables by which programs and libraries find a service of keys. None has a secret. A daemon has no others but those
 * that it needs itself.
 */
const PASSED_ON: readonly string[] = [
  KEY_VARIABLE,
  'NODE_EXTRA_CA_CERTS',
  'OCICRYPT_KEYPROVIDER_CONFIG',
  'SOFTHSM2_CONF',
  'SSL_CERT_FILE',
  'TPM2TOOLS_TCTI',
  'VAULT_ADDR',
  'VAULT_CACERT',
  'VAULT_NAMESPACE',
];

/** Options that name what opens an image. */
const OPENING = ['keyFile', 'key', 'passphraseFile', 'privateKey', 'keyDir', 'allowKeyUrl'] as const;

/** Whether an option says how an image is opened anew. None of those has a secret. */
const IS_FOR_CHECK: Readonly<Record<keyof KeyArguments, boolean>> = {
  keyFile: true,
  key: true,
  passphraseFile: true,
  privateKey: true,
  keyDir: true,
  allowKeyUrl: true,
  keySlot: true,
  keyTimeout: true,
  keyHeader: true,
  keyCaFile: true,
  keyCert: true,
  keyCertKey: true,
  policy: true,
  // The daemon keeps the lines.
  auditLog: false,
  asksNobody: false,
};

/** Sources that give their key once, or ask a user for it. */
const ONCE = /^(?:stdin:|fd:|env:|passphrase:$)/;
const PIN_FROM_VARIABLE = /^pkcs11:.*[?&]pin-source=env(?::|%3a)/i;

/** Adds the options of commands that mount with a key that may be taken back. */
export function withLeaseOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('key-lease', {
      type: 'string',
      nargs: 1,
      coerce: (text: string) => durationFrom('--key-lease', text),
      describe: 'Ask again, in the background, whether the key may be used, before such a time is over: 15m or 1h',
    })
    .option('on-revoked', {
      choices: revokedChoices,
      nargs: 1,
      describe: 'What to do when it may not; lock, the default where the mount can be locked, else unmount',
    })
    .option('on-unreachable', {
      choices: unreachableChoices,
      nargs: 1,
      describe: 'What to do when no answer came in time; keep unless told',
    })
    .option('key-grace', {
      type: 'string',
      nargs: 1,
      coerce: (text: string) => durationFrom('--key-grace', text),
      describe: 'How long after that --on-unreachable lock waits; another lease unless told',
    })
    .option('no-key-cache', {
      type: 'boolean',
      default: false,
      describe:
        'Ask for this mount alone: do not share the key with other mounts of this user for the time of the lease',
    });
}

/**
 * Returns the lease of a mount's key; undefined where it cannot have one.
 * @throws CkptfsError `bad-argument` for options in vain, and where the key cannot be asked for again
 */
export function leaseFrom(args: LeaseArguments & KeyArguments & RecipientArguments): LeaseTerms | undefined {
  const { keyLease: seconds, onRevoked, onUnreachable = 'keep', keyGrace: graceSeconds, noKeyCache = false } = args;
  refuseInVain(args);
  // Without an option it is the service that may give a lease.
  if (seconds === undefined && (!namesService(args) || onceFrom(args) !== undefined)) return undefined;
  if (seconds !== undefined) refuseUnrenewable(args);
  return {
    ...omitUndefined({ seconds, onRevoked, graceSeconds }),
    onUnreachable,
    check: {
      options: omitUndefined(Object.fromEntries(Object.entries(args).filter(([name]) => isForCheck(name)))),
      directory: process.cwd(),
      directoryMark: currentDirectoryMark(),
      environment: Object.fromEntries(PASSED_ON.flatMap((name) => named(name))),
      timeoutSeconds: args.keyTimeout ?? TIMEOUT_SECONDS,
      shared: seconds !== undefined && !noKeyCache,
    },
  };
}

function isForCheck(name: string): boolean {
  return Object.hasOwn(IS_FOR_CHECK, name) && IS_FOR_CHECK[name as keyof KeyArguments];
}

function namesService({ key = [] }: KeyArguments): boolean {
  return key.some(isKeyService);
}

function named(name: string): (readonly [string, string])[] {
  const value = process.env[name];
  return value === undefined ? [] : [[name, value]];
}

/** @throws CkptfsError `bad-argument` */
function refuseInVain(args: LeaseArguments & KeyArguments): void {
  const { keyLease, onRevoked, onUnreachable, keyGrace, noKeyCache } = args;
  if (keyGrace !== undefined && onUnreachable !== 'lock')
    throw new CkptfsError('bad-argument', '--key-grace is for --on-unreachable lock');
  const ofService = { '--on-revoked': onRevoked, '--on-unreachable': onUnreachable };
  const given = { '--no-key-cache': noKeyCache || undefined, ...(namesService(args) ? {} : ofService) };
  const [option] = Object.entries(given).find(([, value]) => value !== undefined) ?? [];
  if (keyLease !== undefined || option === undefined) return;
  throw new CkptfsError('bad-argument', `${option} is for a key that has a lease, which --key-lease gives it`);
}

/** @throws CkptfsError `bad-argument` */
function refuseUnrenewable(args: KeyArguments & RecipientArguments): void {
  const once = onceFrom(args);
  if (once !== undefined)
    throw new CkptfsError('bad-argument', `a key from ${once} has no lease: it cannot be had again without a user`);
  if ((args.recipient ?? []).length === 0 || !namesNothing(args)) return;
  throw new CkptfsError('bad-argument', 'a new image with a lease needs --key: a recipient alone does not open it');
}

function namesNothing(args: KeyArguments): boolean {
  return OPENING.every((name) => (args[name] ?? []).length === 0);
}

/** Returns what gives a key that cannot be had again. */
function onceFrom(args: KeyArguments): string | undefined {
  const { key = [], keyFile = [], keyHeader = [] } = args;
  const configured = namesNothing(args) ? process.env[KEY_VARIABLE] : undefined;
  const once = [...key, configured ?? ''].find((text) => ONCE.test(text));
  if (once !== undefined) return `${once.slice(0, once.indexOf(':'))}:`;
  if (keyFile.includes('-')) return 'standard input';
  if (keyHeader.some((text) => /:[ \t]*(?:[A-Za-z][\w-]* )?env:/.test(text))) return 'a server that a variable opens';
  return key.some((text) => PIN_FROM_VARIABLE.test(text)) ? 'a token whose PIN is in a variable' : undefined;
}
