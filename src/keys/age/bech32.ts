import { wipe } from '../../base/wipe.ts';
import { offHeap } from '../../crypto/off-heap.ts';

const DIGITS = Buffer.from('qpzry9x8gf2tvdw0s3jn54khce6mua7l');
const CHECKSUM_LENGTH = 6;
const GENERATORS = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3];
const [UPPER_A, UPPER_Z, CASE] = [0x41, 0x5a, 0x20];

/**
 * Decodes bytes in Bech32 (BIP 173), which the text of a key of age is, without a limit of 90 characters. No part of it
 * becomes a JavaScript string. Returns undefined for another prefix, mixed case, a wrong checksum or set bits at the
 * end. The bytes are off the heap, and the caller wipes them.
 * @param prefix in the case that the text must have
 */
export function decodeBech32(text: Uint8Array, prefix: string): Buffer | undefined {
  const start = prefix.length + 1;
  const count = text.length - start;
  const isUpper = prefix === prefix.toUpperCase();
  if (count < CHECKSUM_LENGTH || Buffer.from(text.subarray(0, start)).toString('latin1') !== `${prefix}1`) {
    return undefined;
  }
  const values = offHeap(count);
  try {
    for (let i = 0; i < count; i++) {
      const character = text[start + i] ?? 0;
      if ((character >= UPPER_A && character <= UPPER_Z) !== isUpper && character > UPPER_A) return undefined;
      const value = DIGITS.indexOf(isUpper && character >= UPPER_A ? character | CASE : character);
      if (value === -1) return undefined;
      values[i] = value;
    }
    if (checksum(prefix.toLowerCase(), values) !== 1) return undefined;
    return regrouped(values.subarray(0, count - CHECKSUM_LENGTH));
  } finally {
    wipe(values);
  }
}

function checksum(prefix: string, values: Uint8Array): number {
  const codes = [...Buffer.from(prefix)];
  let sum = 1;
  for (const code of codes) sum = step(sum, code >> 5);
  sum = step(sum, 0);
  for (const code of codes) sum = step(sum, code & 31);
  for (const value of values) sum = step(sum, value);
  return sum;
}

function step(sum: number, value: number): number {
  const top = sum >>> 25;
  return (
    GENERATORS.reduce((next, generator, bit) => next ^ ((top >> bit) & 1 ? generator : 0), 0) ^
    ((sum & 0x1ffffff) << 5) ^
    value
  );
}

/** Turns groups of 5 bits into bytes. Returns undefined when more than padding of zeros is left. */
function regrouped(values: Uint8Array): Buffer | undefined {
  const bytes = offHeap(Math.floor((values.length * 5) / 8));
  let [rest, bits, at] = [0, 0, 0];
  for (const value of values) {
    rest = (rest << 5) | value;
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = rest >> bits;
    rest &= (1 << bits) - 1;
  }
  if (bits < 5 && rest === 0) return bytes;
  wipe(bytes);
  return undefined;
}
