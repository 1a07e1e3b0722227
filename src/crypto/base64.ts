import { offHeap } from './off-heap.ts';

/** Base64 (RFC 4648 §4) of secrets, which never becomes a JavaScript string. */

const DIGITS = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', 'latin1');
const PAD = 0x3d;

/** Returns the padded base64 of bytes, off the heap. The caller wipes it. */
export function encodeBase64(bytes: Uint8Array): Buffer {
  const text = offHeap(Math.ceil(bytes.length / 3) * 4);
  for (let from = 0, to = 0; from < bytes.length; from += 3) {
    const left = bytes.length - from;
    const group = ((bytes[from] ?? 0) << 16) | ((bytes[from + 1] ?? 0) << 8) | (bytes[from + 2] ?? 0);
    text[to++] = digit(group >>> 18);
    text[to++] = digit(group >>> 12);
    text[to++] = left > 1 ? digit(group >>> 6) : PAD;
    text[to++] = left > 2 ? digit(group) : PAD;
  }
  return text;
}

/** Returns what padded base64 stands for, off the heap, or undefined for any other text. The caller wipes it. */
export function decodeBase64(text: Uint8Array): Buffer | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.at(-1) !== PAD ? 0 : text.at(-2) !== PAD ? 1 : 2;
  const digits = text.subarray(0, text.length - padding);
  if (!digits.every((byte) => digitValue(byte) !== -1)) return undefined;
  const bytes = offHeap((text.length / 4) * 3 - padding);
  for (let from = 0, to = 0; from < text.length; from += 4) {
    let group = 0;
    for (let index = from; index < from + 4; index++)
      group = (group << 6) | Math.max(0, digitValue(digits[index] ?? PAD));
    // What is beyond the end of an array is not stored.
    bytes[to++] = group >>> 16;
    bytes[to++] = group >>> 8;
    bytes[to++] = group;
  }
  return bytes;
}

function digit(value: number): number {
  return DIGITS.readUInt8(value & 63);
}

function digitValue(byte: number): number {
  return DIGITS.indexOf(byte);
}
