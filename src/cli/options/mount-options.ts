import { CkptfsError } from '../../base/errors.ts';
import {
  type LogFormat,
  logFormats,
  pageFileChoices,
  type Transport,
  transports,
} from '../../serve/handover/daemon-config.ts';
import { MAX_WORKERS } from '../../serve/launch/checked-options.ts';
import { parseFuseOptions, splitAtCommas, withoutBackslashes } from '../../serve/launch/fuse-options.ts';
import { type OnRevoked, type OnUnreachable, revokedChoices, unreachableChoices } from '../../serve/leases/terms.ts';
import { imageIdOf } from './image-options.ts';
import { bytesFrom, countFrom, durationFrom, epochFrom, modeFrom } from './options.ts';
import { MAX_SECONDS } from './remote-options.ts';

/** Settings that have options of `ckptfs mount`, and the same names with `_` for `-` in `-o`, so also in fstab. */
interface MountSettings {
  readonly keyFile?: readonly string[] | undefined;
  readonly key?: readonly string[] | undefined;
  readonly privateKey?: readonly string[] | undefined;
  readonly keyDir?: readonly string[] | undefined;
  readonly passphraseFile?: string | undefined;
  readonly imageId?: string | undefined;
  readonly transport?: Transport | undefined;
  readonly workers?: number | undefined;
  readonly cacheSize?: number | undefined;
  readonly pageFiles?: (typeof pageFileChoices)[number] | undefined;
  readonly rootMode?: number | undefined;
  readonly scratch?: boolean | undefined;
  readonly write?: boolean | undefined;
  readonly ephemeral?: boolean | undefined;
  readonly verify?: boolean | undefined;
  readonly logFile?: string | undefined;
  readonly logFormat?: LogFormat | undefined;
  readonly requireSignature?: boolean | undefined;
  readonly trusted?: readonly string[] | undefined;
  readonly minEpoch?: number | undefined;
  readonly epochFile?: string | undefined;
  readonly auditLog?: string | undefined;
  /** In seconds. */
  readonly keyTtl?: number | undefined;
  readonly keyLease?: number | undefined;
  readonly keyGrace?: number | undefined;
  readonly onRevoked?: OnRevoked | undefined;
  readonly onUnreachable?: OnUnreachable | undefined;
  readonly noKeyCache?: boolean | undefined;
  readonly s3Endpoint?: string | undefined;
  readonly s3Region?: string | undefined;
  readonly plainHttp?: boolean | undefined;
  readonly remoteCaFile?: string | undefined;
  readonly remoteTimeout?: number | undefined;
  readonly remoteCache?: string | undefined;
  readonly remoteCacheSize?: number | undefined;
  readonly prefetch?: string | undefined;
}

/**
 * Splits `-o` lists into options for ckptfs and options for the mount.
 * @param lists one for each `-o`: options with commas between; a comma after a backslash belongs to the option
 * @returns `rest` in the same form
 * @throws CkptfsError `bad-argument`
 */
export function parseMountOptions(lists: readonly string[]): { settings: MountSettings; rest: string[] } {
  let settings: MountSettings = {};
  const rest: string[] = [];
  for (const option of lists.flatMap(splitAtCommas)) {
    const [name = '', ...parts] = option.split('=');
    const value = withoutBackslashes(parts.join('='));
    const own = ownSetting(name, parts.length === 0 ? undefined : value, settings);
    if (own === undefined) rest.push(option);
    else settings = { ...settings, ...own };
  }
  // The others are checked here already, so that a misspelt key_file is reported as such and not as a missing key.
  parseFuseOptions(rest);
  return { settings, rest };
}

function ownSetting(name: string, value: string | undefined, before: MountSettings): MountSettings | undefined {
  switch (name) {
    case 'key_file':
      return { keyFile: [...(before.keyFile ?? []), needed(name, value)] };
    case 'key':
      return { key: [...(before.key ?? []), needed(name, value)] };
    case 'private_key':
      return { privateKey: [...(before.privateKey ?? []), needed(name, value)] };
    case 'key_dir':
      return { keyDir: [...(before.keyDir ?? []), needed(name, value)] };
    case 'passphrase_file':
      return { passphraseFile: needed(name, value) };
    case 'image_id':
      return { imageId: imageIdOf(needed(name, value)) };
    case 'transport':
      return { transport: choiceOf(name, transports, needed(name, value)) };
    case 'workers':
      return { workers: workersFrom(name, needed(name, value)) };
    case 'cache_size':
      return { cacheSize: bytesFrom(name, needed(name, value)) };
    case 'page_files':
      return { pageFiles: choiceOf(name, pageFileChoices, needed(name, value)) };
    case 'root_mode':
      return { rootMode: modeFrom(name, needed(name, value)) };
    case 'audit_log':
      return { auditLog: needed(name, value) };
    case 'key_ttl':
      return { keyTtl: durationFrom(name, needed(name, value)) };
    case 'key_lease':
      return { keyLease: durationFrom(name, needed(name, value)) };
    case 'key_grace':
      return { keyGrace: durationFrom(name, needed(name, value)) };
    case 'on_revoked':
      return { onRevoked: choiceOf(name, revokedChoices, needed(name, value)) };
    case 'on_unreachable':
      return { onUnreachable: choiceOf(name, unreachableChoices, needed(name, value)) };
    case 'log_file':
      return { logFile: needed(name, value) };
    case 'log_format':
      return { logFormat: choiceOf(name, logFormats, needed(name, value)) };
    case 'trusted':
      return { trusted: [...(before.trusted ?? []), needed(name, value)] };
    case 'min_epoch':
      return { minEpoch: epochFrom(name, needed(name, value)) };
    case 'epoch_file':
      return { epochFile: needed(name, value) };
    case 's3_endpoint':
      return { s3Endpoint: needed(name, value) };
    case 's3_region':
      return { s3Region: needed(name, value) };
    case 'remote_ca_file':
      return { remoteCaFile: needed(name, value) };
    case 'remote_timeout':
      return { remoteTimeout: countFrom(name, needed(name, value), MAX_SECONDS) };
    case 'remote_cache':
      return { remoteCache: needed(name, value) };
    case 'remote_cache_size':
      return { remoteCacheSize: bytesFrom(name, needed(name, value)) };
    case 'prefetch':
      return { prefetch: needed(name, value) };
    case 'ephemeral':
    case 'no_key_cache':
    case 'plain_http':
    case 'require_signature':
    case 'scratch':
    case 'verify':
    case 'write':
      if (value !== undefined) throw new CkptfsError('bad-argument', `mount option ${name} takes no value`);
      return { [FLAGS[name] ?? name]: true };
    default:
      return undefined;
  }
}

/** Names of flags that are written otherwise in `-o`. */
const FLAGS: Readonly<Record<string, keyof MountSettings>> = {
  no_key_cache: 'noKeyCache',
  plain_http: 'plainHttp',
  require_signature: 'requireSignature',
};

export function workersFrom(option: string, text: string): number {
  return countFrom(option, text, MAX_WORKERS);
}

function needed(name: string, value: string | undefined): string {
  if (value !== undefined && value !== '') return value;
  throw new CkptfsError('bad-argument', `mount option ${name} needs a value: ${name}=…`);
}

function choiceOf<Choice extends string>(name: string, choices: readonly Choice[], text: string): Choice {
  const known = choices.find((choice) => choice === text);
  if (known !== undefined) return known;
  throw new CkptfsError('bad-argument', `mount option ${name}=${text}: known are ${choices.join(', ')}`);
}
