import type { Argv } from 'yargs';
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
  'OCICRYPT_KEYPROVIDER_CONFIG',
  'SOFTHSM2_CONF',
  'TPM2TOOLS_TCTI',
  'VAULT_ADDR',
  'VAULT_CACERT',
  'VAULT_NAMESPACE',
];

/** Options that say what opens an image, and that have no secret. */
const CHECK_OPTIONS = [
  'keyFile',
  'key',
  'passphraseFile',
  'privateKey',
  'keyDir',
  'allowKeyUrl',
  'keySlot',
  'keyTimeout',
  'keyHeader',
  'keyCaFile',
  'keyCert',
  'keyCertKey',
  'policy',
] as const satisfies readonly (keyof KeyArguments)[];

/** Sources that give their key once, or ask a user for it. */
const ONCE = /^(?:stdin:|fd:|env:|passphrase:$)/;

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
  const { keyLease: seconds, onRevoked, onUnreachable = 'keep', keyGrace: graceSeconds, noKeyCache } = args;
  const services = (args.key ?? []).filter(isKeyService);
  if (seconds === undefined && services.length === 0) {
    refuseInVain({ '--on-revoked': onRevoked, '--on-unreachable': args.onUnreachable, '--key-grace': graceSeconds });
    if (noKeyCache === true) throw new CkptfsError('bad-argument', '--no-key-cache is for a key that has a lease');
    return undefined;
  }
  if (graceSeconds !== undefined && onUnreachable !== 'lock')
    throw new CkptfsError('bad-argument', '--key-grace is for --on-unreachable lock');
  const once = unrenewable(args);
  if (once !== undefined) {
    if (seconds === undefined) return undefined;
    throw new CkptfsError('bad-argument', `a key from ${once} has no lease: it cannot be had again without a user`);
  }
  if (
    seconds !== undefined &&
    (args.recipient ?? []).length > 0 &&
    !CHECK_OPTIONS.slice(0, 6).some((name) => isGiven(args[name]))
  )
    throw new CkptfsError('bad-argument', 'a new image with a lease needs --key: a recipient alone does not open it');
  return {
    ...omitUndefined({ seconds, onRevoked, graceSeconds }),
    onUnreachable,
    check: {
      options: omitUndefined(Object.fromEntries(CHECK_OPTIONS.map((name) => [name, args[name]]))),
      directory: process.cwd(),
      environment: Object.fromEntries(PASSED_ON.flatMap((name) => named(name))),
      timeoutSeconds: args.keyTimeout ?? TIMEOUT_SECONDS,
      shared: seconds !== undefined && noKeyCache !== true,
    },
  };
}

function isGiven(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : value !== undefined;
}

function named(name: string): (readonly [string, string])[] {
  const value = process.env[name];
  return value === undefined ? [] : [[name, value]];
}

function refuseInVain(given: Readonly<Record<string, unknown>>): void {
  const [option] = Object.entries(given).find(([, value]) => value !== undefined) ?? [];
  if (option === undefined) return;
  throw new CkptfsError('bad-argument', `${option} is for a key that has a lease, which --key-lease gives it`);
}

/** Returns what names a key that cannot be had again. */
function unrenewable({ key = [], keyFile = [], keyHeader = [] }: KeyArguments): string | undefined {
  const named = process.env[KEY_VARIABLE];
  const once = [...key, ...(named === undefined ? [] : [named])].find((text) => ONCE.test(text));
  if (once !== undefined) return `${once.slice(0, once.indexOf(':'))}:`;
  if (keyFile.includes('-')) return 'standard input';
  return keyHeader.some((text) => /:[ \t]*(?:[A-Za-z][\w-]* )?env:/.test(text))
    ? 'a server that a variable opens'
    : undefined;
}
