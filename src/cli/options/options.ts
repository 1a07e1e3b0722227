import type { Argv } from 'yargs';
import { CkptfsError } from '../../base/errors.ts';
import { parseBytes } from '../terminal/quantities.ts';

/** Options that several commands share. */

const MAX_JOBS = 256;

export function withJson<T>(yargs: Argv<T>): Argv<T & { json: boolean }> {
  return yargs.option('json', { type: 'boolean', default: false, describe: 'Print JSON' });
}

export function withJobs<T>(yargs: Argv<T>): Argv<T & { jobs: number | undefined }> {
  return yargs.option('jobs', {
    alias: 'j',
    type: 'string',
    nargs: 1,
    coerce: (text: string) => countFrom('--jobs', text, MAX_JOBS),
    describe: 'Worker threads; up to one per core unless told',
  });
}

/** Parses a number from 1 to `max`. @throws CkptfsError `bad-argument` */
export function countFrom(option: string, text: string, max: number): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= max) return count;
  throw new CkptfsError('bad-argument', `${option} ${text}: it is a number from 1 to ${max}`);
}

/** Parses permission bits in octal. @throws CkptfsError `bad-argument` */
export function modeFrom(option: string, text: string): number {
  if (/^[0-7]{1,5}$/.test(text) && Number.parseInt(text, 8) <= 0o7777) return Number.parseInt(text, 8);
  throw new CkptfsError('bad-argument', `${option} ${text}: it is a mode in octal, such as 0755`);
}

const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/**
 * Parses a time such as `90s`, `30m`, `8h` or `2d`. Returns seconds, at most 1,000 days.
 * @throws CkptfsError `bad-argument`
 */
export function durationFrom(option: string, text: string): number {
  const [, number = '', unit = ''] = /^(\d{1,8})([smhd])$/.exec(text) ?? [];
  const seconds = Number(number) * (SECONDS[unit as keyof typeof SECONDS] ?? 0);
  if (seconds >= 1 && seconds <= 1000 * SECONDS.d) return seconds;
  throw new CkptfsError('bad-argument', `${option} ${text}: it is a time such as 90s, 30m, 8h or 2d`);
}

/** @throws CkptfsError `bad-argument` */
export function bytesFrom(option: string, text: string): number {
  const bytes = parseBytes(text);
  if (bytes !== undefined) return bytes;
  throw new CkptfsError('bad-argument', `${option} ${text}: it is a number of bytes, such as 67108864, 64M or 1G`);
}

/** Parses the number of a seal. @throws CkptfsError `bad-argument` */
export function epochFrom(option: string, text: string): number {
  const epoch = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (epoch >= 1) return epoch;
  throw new CkptfsError('bad-argument', `${option} ${text}: it is the number of a seal, 1 or more`);
}
