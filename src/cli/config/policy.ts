import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { MalformedError } from '../../base/bytes.ts';
import { CkptfsError, ioError, systemErrorName } from '../../base/errors.ts';
import { WRITABLE_BY_OTHERS } from '../../base/owned-file.ts';
import { type CipherName, cipherNames } from '../../format/ciphers.ts';
import { membersOf } from '../../format/members.ts';
import { type SuiteName, suiteNames } from '../../format/suites.ts';
import { POLICY_FILE } from './places.ts';
import { readSettingsFile } from './settings-file.ts';
import { booleanFrom, listOf, numberFrom, ocspFrom, pathFrom, refuseUnknown, wordFrom } from './values.ts';

/** Where a key may be from, as a policy names it. */
export const keySourceKinds = [
  'file',
  'stdin',
  'fd',
  'env',
  'cmd',
  'https',
  'keyring',
  'passphrase',
  'private-key',
  'keyprovider',
  'tpm2',
  'vault',
  'pkcs11',
  'kmip',
] as const;

export type KeySourceKind = (typeof keySourceKinds)[number];

/** How a policy has certificates of recipients checked. */
export interface PolicyChecks {
  readonly caFile?: readonly string[];
  readonly crlFile?: readonly string[];
  readonly ocsp?: string;
  /** Whether `--force` is allowed; it is unless this is false. */
  readonly force?: boolean;
}

/** What a host enforces. What is not given is not restricted. */
export interface PolicyRules {
  readonly requireSignature?: boolean;
  readonly trusted?: readonly string[];
  readonly minEpoch?: number;
  /** How certificates of signers are checked. */
  readonly crlFile?: readonly string[];
  readonly ocsp?: string;
  /** The only suite of images that is allowed. */
  readonly suite?: SuiteName;
  /** Whether OpenSSL has to use nothing but a FIPS provider in this process. */
  readonly fipsProvider?: boolean;
  readonly ciphers?: readonly CipherName[];
  readonly keySources?: readonly KeySourceKind[];
  readonly recipientChecks?: PolicyChecks;
}

/** Rules and the file that they are from. */
export interface Policy {
  readonly path: string;
  readonly rules: PolicyRules;
}

const checksReaders: { readonly [Name in keyof PolicyChecks]-?: (name: string, value: unknown) => unknown } = {
  caFile: listOf(pathFrom),
  crlFile: listOf(pathFrom),
  ocsp: ocspFrom,
  force: booleanFrom,
};

const readers: { readonly [Name in keyof PolicyRules]-?: (name: string, value: unknown) => unknown } = {
  requireSignature: booleanFrom,
  trusted: listOf(pathFrom),
  minEpoch: (name, value) => numberFrom(name, value, 0, Number.MAX_SAFE_INTEGER),
  crlFile: listOf(pathFrom),
  ocsp: ocspFrom,
  suite: (name, value) => wordFrom(name, value, suiteNames),
  fipsProvider: booleanFrom,
  ciphers: listOf((name, value) => wordFrom(name, value, cipherNames)),
  keySources: listOf((name, value) => wordFrom(name, value, keySourceKinds)),
  recipientChecks: (name, value) => readMembers<PolicyChecks>(membersOf(value, name), checksReaders, `${name}.`),
};

/** Checks the members of a policy. @throws MalformedError, which names the member */
export function parsePolicy(members: ReadonlyMap<string, unknown>): PolicyRules {
  const rules = readMembers<PolicyRules>(members, readers);
  if (rules.requireSignature === true) {
    if (rules.trusted === undefined) throw new MalformedError('requireSignature: trusted is missing');
  } else {
    const inVain = (['trusted', 'minEpoch', 'crlFile', 'ocsp'] as const).find((name) => rules[name] !== undefined);
    if (inVain !== undefined) throw new MalformedError(`${inVain}: requireSignature is not true`);
  }
  const { caFile, crlFile, ocsp = 'off' } = rules.recipientChecks ?? {};
  if (caFile === undefined && (crlFile !== undefined || ocsp !== 'off')) {
    throw new MalformedError('recipientChecks.caFile is missing');
  }
  return rules;
}

/**
 * Reads the policy of this host. Returns undefined where there is none.
 * @throws CkptfsError `forbidden-by-policy` for a file that cannot be read, is wrong, or can be changed by a user
 */
export function readHostPolicy(path: string = POLICY_FILE): Policy | undefined {
  return read(path, () => {
    refuseOpenDirectory(dirname(path));
    return readSettingsFile(path, { owners: [0], followLinks: false });
  });
}

/**
 * Reads a further policy, which holds besides that of the host.
 * @throws CkptfsError `forbidden-by-policy`
 */
export function readFurtherPolicy(path: string): Policy {
  const owners = [0, process.geteuid?.() ?? 0];
  const policy = read(path, () => readSettingsFile(path, { owners, followLinks: true }));
  if (policy !== undefined) return policy;
  throw wrong(path, new MalformedError('there is no such file'));
}

function read(path: string, members: () => ReadonlyMap<string, unknown> | undefined): Policy | undefined {
  try {
    const found = members();
    return found && { path, rules: parsePolicy(found) };
  } catch (cause) {
    throw cause instanceof MalformedError ? wrong(path, cause) : cause;
  }
}

function wrong(path: string, cause: MalformedError): CkptfsError {
  return new CkptfsError('forbidden-by-policy', `nothing is opened or made: policy ${path}: ${cause.message}`, {
    path,
    data: { reason: 'policy-file' },
    cause,
  });
}

/** Refuses a directory in which a user could remove the policy. @throws MalformedError */
function refuseOpenDirectory(directory: string): void {
  try {
    if ((statSync(directory).mode & WRITABLE_BY_OTHERS) === 0) return;
  } catch (cause) {
    if (systemErrorName(cause) === 'ENOENT') return;
    throw new MalformedError(ioError('look at', directory, cause).message);
  }
  throw new MalformedError(`other users can change the directory ${directory}`);
}

function readMembers<T extends object>(
  members: ReadonlyMap<string, unknown>,
  known: { readonly [Name in keyof T]-?: (name: string, value: unknown) => unknown },
  within = '',
): T {
  const names = Object.keys(known) as (keyof T & string)[];
  refuseUnknown(members, names, within);
  const given = names.filter((name) => members.has(name));
  return Object.fromEntries(given.map((name) => [name, known[name](`${within}${name}`, members.get(name))])) as T;
}
