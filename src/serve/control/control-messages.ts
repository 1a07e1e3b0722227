import { type CounterName, counterNames } from '../../base/counters.ts';
import { isPlainError, type PlainError } from '../../base/errors.ts';
import { type PageFiles, pageFileChoices } from '../../fs/direct-opens.ts';
import { type FetcherCounter, fetcherCounters } from '../../remote/lazy/protocol.ts';
import { type LogFormat, logFormats } from '../mounts/log-format.ts';

/** The line that asks a daemon for its status. */
export const STATUS_QUESTION = 'status\n';

/** The line that asks a daemon to wipe its keys. It answers with a {@link KeyAnswer}. */
export const LOCK_ORDER = 'lock\n';
/** The line that offers an image key. The daemon sends a channel for it, and then a {@link KeyAnswer}. */
export const UNLOCK_ORDER = 'unlock\n';

/** The line that asks what was read of an image in a remote store. The answer is a {@link ProfileAnswer}. */
export const PROFILE_QUESTION = 'profile\n';

export type CounterSums = Readonly<Record<CounterName, number>>;

/**
 * A daemon's answer. It does not hold the pid, which would be one of the daemon's pid namespace: the kernel tells it.
 */
export interface DaemonStatus {
  /** `sealing`: the mount is gone, and what was written is being sealed. */
  readonly state: 'serving' | 'sealing';
  readonly mountPoint: string;
  /** `MAJOR:MINOR`. While the daemon seals, another mount may have the same. */
  readonly device: string;
  readonly location: string;
  readonly imageId: string;
  readonly transport: string;
  readonly workers: number;
  readonly scratch: boolean;
  /** `criu`: a directory that CRIU encrypted. Undefined from a daemon of an older version. */
  readonly format?: 'ckptfs' | 'criu' | undefined;
  /** Whether files can be changed. */
  readonly write: boolean;
  /** Whether the image is removed with the mount. Undefined from a daemon of an older version. */
  readonly ephemeral?: boolean | undefined;
  readonly uptimeSeconds: number;
  readonly key: KeyStatus;
  readonly counters: CounterSums;
  /** Is there for an image in a remote store; `location` is its URL. */
  readonly remote?: RemoteStatus | undefined;
  /** The options of the mount, so that another one can be made like it. */
  readonly options: ServedOptions;
}

/** What is fetched of an image in a remote store. */
export interface RemoteStatus {
  /** The directory that has its header and manifest. */
  readonly directory: string;
  /** What the process that fetches did so far; undefined when it does not answer. */
  readonly counters?: FetcherCounts | undefined;
}

export type FetcherCounts = Readonly<Record<FetcherCounter, number>>;

export interface KeyStatus {
  /** Whether the image key is wiped, and contents cannot be read. */
  readonly locked: boolean;
  /** Until the mount locks itself. */
  readonly secondsLeft?: number | undefined;
  /** Is there for a key that has a lease. */
  readonly lease?: LeaseStatus | undefined;
  /** What opened the image: the number of the key slot, from 1, if there was one, and where its key was from. */
  readonly slot?: number | undefined;
  readonly source?: string | undefined;
}

export interface LeaseStatus {
  /**
   * `held`: the key may be used. `expired`: no answer came in time, and it is used. `revoked`: it may not be used.
   * `ended`: the key is gone.
   */
  readonly state: 'held' | 'expired' | 'revoked' | 'ended';
  readonly secondsLeft: number;
  /** What was heard last. */
  readonly renewal?: LeaseRenewal | undefined;
}

export interface LeaseRenewal {
  readonly result: 'ok' | 'revoked' | 'unreachable';
  readonly secondsAgo: number;
  /** The code of the error, and the reason in its data. */
  readonly error?: string | undefined;
  readonly reason?: string | undefined;
}

/** What became of an order. */
export type KeyAnswer = { readonly key: 'done' } | { readonly key: 'failed'; readonly error: PlainError };

/** What was read of an image, as an access profile; null where that is not known. */
export type ProfileAnswer = { readonly profile: string | null };

export interface ServedOptions {
  readonly allowOther: boolean;
  readonly allowRoot: boolean;
  readonly noExec: boolean;
  readonly fsName: string;
  /** In bytes. */
  readonly cacheSize: number;
  readonly pageFiles: PageFiles;
  /** Undefined in the foreground. */
  readonly logFile?: string | undefined;
  readonly logFormat: LogFormat;
}

/**
 * What the daemon of a writable mount announces without being asked: that it seals the image, and then the outcome;
 * `discarded` is that of an ephemeral image.
 */
export type DaemonEvent =
  | { readonly event: 'sealing' | 'sealed' | 'discarded' }
  | { readonly event: 'unsealed'; readonly error: PlainError };

/** Returns whether a message has the shape of a daemon's answer. Any process may have sent it. */
export function isStatus(value: unknown): value is DaemonStatus {
  if (!isRecord(value)) return false;
  const { counters } = value;
  return (
    (value['state'] === 'serving' || value['state'] === 'sealing') &&
    ['mountPoint', 'device', 'location', 'imageId', 'transport'].every((name) => typeof value[name] === 'string') &&
    [undefined, 'ckptfs', 'criu'].some((format) => value['format'] === format) &&
    ['undefined', 'boolean'].includes(typeof value['ephemeral']) &&
    ['workers', 'uptimeSeconds'].every((name) => Number.isFinite(value[name])) &&
    isKeyStatus(value['key']) &&
    (value['remote'] === undefined || isRemoteStatus(value['remote'])) &&
    ['scratch', 'write'].every((name) => typeof value[name] === 'boolean') &&
    isRecord(counters) &&
    counterNames.every((name) => Number.isFinite(counters[name])) &&
    isServedOptions(value['options'])
  );
}

function isServedOptions(value: unknown): boolean {
  return (
    isRecord(value) &&
    ['allowOther', 'allowRoot', 'noExec'].every((name) => typeof value[name] === 'boolean') &&
    typeof value['fsName'] === 'string' &&
    Number.isFinite(value['cacheSize']) &&
    pageFileChoices.some((choice) => choice === value['pageFiles']) &&
    (value['logFile'] === undefined || typeof value['logFile'] === 'string') &&
    logFormats.some((format) => format === value['logFormat'])
  );
}

function isRemoteStatus(value: unknown): boolean {
  const counters = isRecord(value) ? value['counters'] : undefined;
  const isRight = counters === undefined || fetcherCountsIn(counters) !== undefined;
  return isRecord(value) && typeof value['directory'] === 'string' && isRight;
}

/** Returns the counters in what the process that fetches has said; undefined when they are not all there. */
export function fetcherCountsIn(value: unknown): FetcherCounts | undefined {
  if (!isRecord(value) || !fetcherCounters.every((name) => Number.isFinite(value[name]))) return undefined;
  return Object.fromEntries(fetcherCounters.map((name) => [name, Number(value[name])])) as FetcherCounts;
}

function isKeyStatus(value: unknown): boolean {
  return (
    isRecord(value) &&
    typeof value['locked'] === 'boolean' &&
    ['secondsLeft', 'slot'].every((name) => value[name] === undefined || Number.isFinite(value[name])) &&
    (value['source'] === undefined || typeof value['source'] === 'string') &&
    (value['lease'] === undefined || isLeaseStatus(value['lease']))
  );
}

function isLeaseStatus(value: unknown): boolean {
  return (
    isRecord(value) &&
    ['held', 'expired', 'revoked', 'ended'].some((state) => value['state'] === state) &&
    Number.isFinite(value['secondsLeft']) &&
    (value['renewal'] === undefined || isLeaseRenewal(value['renewal']))
  );
}

function isLeaseRenewal(value: unknown): boolean {
  return (
    isRecord(value) &&
    ['ok', 'revoked', 'unreachable'].some((result) => value['result'] === result) &&
    Number.isFinite(value['secondsAgo']) &&
    ['error', 'reason'].every((name) => value[name] === undefined || typeof value[name] === 'string')
  );
}

/** Returns whether a message has the shape of a daemon's answer to an order. Any process may have sent it. */
export function isKeyAnswer(value: unknown): value is KeyAnswer {
  if (!isRecord(value)) return false;
  return value['key'] === 'done' || (value['key'] === 'failed' && isPlainError(value['error']));
}

/** Returns whether a message has the shape of a daemon's answer about what was read. Any process may have sent it. */
export function isProfileAnswer(value: unknown): value is ProfileAnswer {
  return isRecord(value) && (value['profile'] === null || typeof value['profile'] === 'string');
}

const ENDS = ['sealing', 'sealed', 'discarded'];

/** Returns whether a message has the shape of a daemon's announcement. Any process may have sent it. */
export function isEvent(value: unknown): value is DaemonEvent {
  if (!isRecord(value)) return false;
  const { event, error } = value;
  return ENDS.some((one) => event === one) || (event === 'unsealed' && isPlainError(error));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
