import { isAbsolute } from 'node:path';
import { MalformedError } from '../../base/bytes.ts';
import { CkptfsError } from '../../base/errors.ts';
import { isKeyList } from '../../keys/recipients/key-list.ts';
import { hasKeyScheme } from '../../keys/sources/schemes.ts';
import { configurationPaths, KEY_VARIABLE } from './places.ts';
import { readSettingsFile } from './settings-file.ts';
import { listOf, numberFrom, ocspFrom, pathFrom, refuseUnknown, textFrom } from './values.ts';

/** What a configuration may have: names of options, with values that name where keys are. No value is a key. */
export interface ConfiguredOptions {
  readonly keyFile?: readonly string[];
  readonly key?: readonly string[];
  readonly passphraseFile?: string;
  readonly privateKey?: readonly string[];
  readonly keyDir?: readonly string[];
  readonly allowKeyUrl?: readonly string[];
  readonly keyTimeout?: number;
  readonly keyHeader?: readonly string[];
  readonly keyCaFile?: string;
  readonly keyCert?: string;
  readonly keyCertKey?: string;
  /** For new images. */
  readonly recipient?: readonly string[];
  readonly caFile?: readonly string[];
  readonly crlFile?: readonly string[];
  readonly ocsp?: string;
}

export type ConfiguredName = keyof ConfiguredOptions;

/** Options and where their values are from. */
export interface Configuration {
  readonly options: ConfiguredOptions;
  /** A path or the name of a variable, for each option. */
  readonly origins: ReadonlyMap<ConfiguredName, string>;
}

const MAX_KEY_SECONDS = 3600;
/** Options that name no key: how certificates of recipients are checked, and how servers of keys are asked. */
const NAMING_NO_KEY: ReadonlySet<string> = new Set<ConfiguredName>([
  'caFile',
  'crlFile',
  'ocsp',
  'keyTimeout',
  'keyCaFile',
  'keyCert',
  'keyCertKey',
]);

const readers: { readonly [Name in ConfiguredName]-?: (name: string, value: unknown) => unknown } = {
  keyFile: listOf(pathFrom),
  key: listOf(sourceFrom),
  passphraseFile: pathFrom,
  privateKey: listOf(pathFrom),
  keyDir: listOf(pathFrom),
  allowKeyUrl: listOf(urlFrom),
  keyTimeout: (name, value) => numberFrom(name, value, 1, MAX_KEY_SECONDS),
  keyHeader: listOf(headerFrom),
  keyCaFile: pathFrom,
  keyCert: pathFrom,
  keyCertKey: pathFrom,
  recipient: listOf(recipientFrom),
  caFile: listOf(pathFrom),
  crlFile: listOf(pathFrom),
  ocsp: ocspFrom,
};

/** Names of the members that a configuration may have. */
export const configuredNames = Object.keys(readers) as ConfiguredName[];

/** Checks the members of a configuration. @throws MalformedError, which names the member */
export function parseConfiguration(members: ReadonlyMap<string, unknown>): ConfiguredOptions {
  refuseUnknown(members, configuredNames);
  const given = configuredNames.filter((name) => members.has(name));
  return Object.fromEntries(given.map((name) => [name, readers[name](name, members.get(name))])) as ConfiguredOptions;
}

/**
 * Reads what holds where the command line names no key: the variable, and the first configuration that is there. Where
 * the variable is set, a configuration says only how certificates are checked and servers asked.
 * @throws CkptfsError `bad-argument`
 */
export function readConfiguration(
  environment: NodeJS.ProcessEnv = process.env,
  paths: readonly string[] = configurationPaths(environment),
): Configuration {
  const named = environment[KEY_VARIABLE];
  if (named !== undefined) checkVariable(named);
  const origins = new Map<ConfiguredName, string>(named === undefined ? [] : [['key', KEY_VARIABLE]]);
  const options: Record<string, unknown> = named === undefined ? {} : { key: [named] };
  for (const path of paths) {
    const found = readFile(path);
    if (found === undefined) continue;
    for (const name of configuredNames.filter((each) => found[each] !== undefined)) {
      if (named !== undefined && !NAMING_NO_KEY.has(name)) continue;
      options[name] = found[name];
      origins.set(name, path);
    }
    break;
  }
  return { options: options as ConfiguredOptions, origins };
}

/** @throws CkptfsError `bad-argument`, which does not repeat the value: it may be a key */
function checkVariable(value: string): void {
  if (hasKeyScheme(value)) return;
  const problem = value === '' ? 'it is empty' : 'it names a source of a key, such as file:PATH, and is never a key';
  throw new CkptfsError('bad-argument', `${KEY_VARIABLE}: ${problem}`, { data: { reason: 'configuration' } });
}

function readFile(path: string): ConfiguredOptions | undefined {
  try {
    const owners = [0, process.geteuid?.() ?? 0];
    const members = readSettingsFile(path, { owners, followLinks: true });
    return members && parseConfiguration(members);
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause;
    throw new CkptfsError('bad-argument', `configuration ${path}: ${cause.message}`, {
      path,
      data: { reason: 'configuration' },
      cause,
    });
  }
}

/** @throws MalformedError for what is no source, and for relative paths */
function sourceFrom(name: string, value: unknown): string {
  const text = textFrom(name, value);
  if (!hasKeyScheme(text)) throw new MalformedError(`${name}: it names a source of a key, such as file:/PATH`);
  const [, path] = /^(?:file:|passphrase:(?!cmd:)|tpm2:(?:[^;]*;)*auth-file=)(.+)$/s.exec(text) ?? [];
  if (path !== undefined) pathFrom(name, path);
  return text;
}

function recipientFrom(name: string, value: unknown): string {
  const text = textFrom(name, value);
  if (isAbsolute(text) || isKeyList(Buffer.from(text))) return text;
  if (hasKeyScheme(text)) return sourceFrom(name, text);
  throw new MalformedError(`${name}: it is a path that begins with /, a public key, or a source of a key`);
}

function urlFrom(name: string, value: unknown): string {
  const text = textFrom(name, value);
  if (text.startsWith('https://')) return text;
  throw new MalformedError(`${name}: it begins with https://`);
}

function headerFrom(name: string, value: unknown): string {
  const text = textFrom(name, value);
  const [, path] = /^[^:]+:[^@:]*(?:@|file:)(.+)$/s.exec(text) ?? [];
  if (path !== undefined) pathFrom(name, path);
  return text;
}
