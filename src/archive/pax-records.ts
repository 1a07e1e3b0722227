import { MalformedError } from '../base/bytes.ts';
import type { Time } from '../base/time.ts';

/** One record of an extended header. */
export interface PaxRecord {
  /** Bytes as latin1. */
  readonly key: string;
  /** Raw bytes. */
  readonly value: Buffer;
}

const SPACE = 0x20;
const EQUALS = 0x3d;
const LINE_FEED = 0x0a;
/** Digits of the length of a record. An extended header is far smaller than that. */
const MAX_DIGITS = 8;
const NANOSECOND_DIGITS = 9;

/** Reads the records `LENGTH KEY=VALUE\n` of an extended header (POSIX.1-2017, pax). @throws MalformedError */
export function decodePax(bytes: Buffer): PaxRecord[] {
  const records: PaxRecord[] = [];
  for (let start = 0; start < bytes.length; ) {
    const space = bytes.subarray(start, start + MAX_DIGITS + 1).indexOf(SPACE);
    const digits = bytes.toString('latin1', start, start + Math.max(0, space));
    if (!/^[0-9]+$/.test(digits)) throw new MalformedError('a record of an extended header without a length');
    const record = bytes.subarray(start, start + Number(digits));
    const equals = record.indexOf(EQUALS, space + 1);
    if (start + Number(digits) > bytes.length || record.at(-1) !== LINE_FEED || equals <= space + 1) {
      throw new MalformedError('a record of an extended header that is not as long as it says');
    }
    records.push({ key: record.toString('latin1', space + 1, equals), value: record.subarray(equals + 1, -1) });
    start += record.length;
  }
  return records;
}

/** Makes an extended header of records. */
export function encodePax(records: readonly PaxRecord[]): Buffer {
  return Buffer.concat(records.map(encodeRecord));
}

function encodeRecord({ key, value }: PaxRecord): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), value, Buffer.of(LINE_FEED)]);
  // The length counts its own digits.
  let length = rest.length;
  while (`${length}`.length + rest.length !== length) length = `${length}`.length + rest.length;
  return Buffer.concat([Buffer.from(`${length}`), rest]);
}

/** Reads a whole number that is not negative. It is not exact beyond 2^53: the caller refuses it. */
export function paxNumber(value: Buffer, key: string): number {
  const text = value.toString('latin1');
  if (!/^[0-9]{1,30}$/.test(text)) throw new MalformedError(`${key} that is no number`);
  return Number(text);
}

/** Reads a time: seconds since 1970 with a fraction, of which digits past nanoseconds are cut. */
export function paxTime(value: Buffer, key: string): Time {
  const match = /^(-?)([0-9]{1,16})(?:\.([0-9]{0,100}))?$/.exec(value.toString('latin1'));
  if (match === null) throw new MalformedError(`${key} that is no time`);
  const [, sign, whole = '', fraction = ''] = match;
  const seconds = Number(whole);
  const nanoseconds = Number(fraction.slice(0, NANOSECOND_DIGITS).padEnd(NANOSECOND_DIGITS, '0'));
  if (sign === '' || (seconds === 0 && nanoseconds === 0)) return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: -seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds };
}

/** Returns the text of a time as {@link paxTime} reads it. */
export function paxTimeText({ seconds, nanoseconds }: Time): string {
  const isNegative = seconds < 0;
  const whole = isNegative && nanoseconds > 0 ? -seconds - 1 : Math.abs(seconds);
  const part = isNegative && nanoseconds > 0 ? 1e9 - nanoseconds : nanoseconds;
  const fraction = part === 0 ? '' : `.${`${part}`.padStart(NANOSECOND_DIGITS, '0').replace(/0+$/, '')}`;
  return `${isNegative ? '-' : ''}${whole}${fraction}`;
}
