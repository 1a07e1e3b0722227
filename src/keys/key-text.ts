import { CkptfsError } from '../base/errors.ts';
import { offHeap } from '../crypto/off-heap.ts';
import { Secret } from '../crypto/secret.ts';

const KEY_SIZES: readonly number[] = [16, 24, 32];
const EXPECTED = 'expected a key of 16, 24 or 32 bytes in hexadecimal (32, 48 or 64 digits)';

/** Hexadecimal digits as ASCII bytes, because a key must never become a JavaScript string. */
const DIGITS = Buffer.from('0123456789abcdef', 'ascii');
const LINE_FEED = 0x0a;

/**
 * Reads the text of a key: the hexadecimal digits of 16, 24 or 32 bytes in either case, possibly with white space
 * around them.
 * @param source names in messages where the text is from: `key file k`. They never repeat the text
 * @param path of the file that the text is from
 * @throws CkptfsError `bad-key-file`
 */
export function parseKeyText(text: Uint8Array, source: string, path?: string): Secret {
  const fault = (found: string): CkptfsError =>
    new CkptfsError('bad-key-file', `${source}: ${EXPECTED}; ${found}`, {
      ...(path === undefined ? {} : { path }),
      data: { reason: 'not-a-key' },
    });
  const start = text.findIndex((byte) => !isWhiteSpace(byte));
  if (start === -1) throw fault(text.length === 0 ? 'it is empty' : 'found only white space');
  const end = text.findLastIndex((byte) => !isWhiteSpace(byte)) + 1;
  const wrong = text.subarray(start, end).findIndex((byte) => digitValue(byte) === undefined);
  if (wrong !== -1) throw fault(`byte ${start + wrong + 1} is not a hexadecimal digit`);
  const count = end - start;
  if (count % 2 !== 0) throw fault(`found ${count} digits, an odd number`);
  if (!KEY_SIZES.includes(count / 2)) throw fault(`found ${count / 2} bytes (${count} digits)`);
  const key = Secret.zeros(count / 2);
  for (let i = 0; i < key.length; i++) {
    key.bytes[i] = nibble(text, start + 2 * i) * 16 + nibble(text, start + 2 * i + 1);
  }
  return key;
}

/** Writes a key as the text of a key file: lower-case digits and a line feed. The caller wipes it. */
export function keyText(key: Secret): Buffer {
  const text = offHeap(2 * key.length + 1);
  key.bytes.forEach((byte, i) => {
    text[2 * i] = DIGITS.readUInt8(byte >>> 4);
    text[2 * i + 1] = DIGITS.readUInt8(byte & 15);
  });
  text[2 * key.length] = LINE_FEED;
  return text;
}

/** Makes a new random key as the text of a key file. The caller wipes it. */
export function newKeyText(bits: 128 | 192 | 256): Buffer {
  const key = Secret.random(bits / 8);
  try {
    return keyText(key);
  } finally {
    key.wipe();
  }
}

function nibble(text: Uint8Array, at: number): number {
  return digitValue(text[at] ?? 0) ?? 0;
}

function digitValue(byte: number): number | undefined {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : undefined;
}

/** ASCII space, tab, line feed, vertical tab, form feed, carriage return. */
function isWhiteSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}
