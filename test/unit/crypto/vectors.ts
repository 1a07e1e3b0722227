import { readFileSync } from 'node:fs';
import { Region } from '../../../src/base/linux/native.ts';

/**
 * A list of published test vectors from test/vectors/crypto. Each names its source; all other values are hexadecimal.
 */
export function vectors<Field extends string>(name: string): Record<Field | 'source', string>[] {
  const file = new URL(`../../vectors/crypto/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as Record<Field | 'source', string>[];
}

export function hex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}

/** A region of its own with these bytes (hexadecimal, or themselves). */
export function regionOf(bytes: string | Uint8Array): Region {
  return new Region(Buffer.from(typeof bytes === 'string' ? hex(bytes) : bytes));
}
