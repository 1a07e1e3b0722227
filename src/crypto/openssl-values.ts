import { memoryAt, Region } from '../base/linux/native.ts';
import { printable } from '../base/printable.ts';
import { x509Library } from './libcrypto-x509.ts';

const NULL = 0;
const MAX_TEXT_BYTES = 4096;
const MAX_NAME_CHARACTERS = 512;
/** Bytes of a `struct tm`, at least. */
const TM_SIZE = 64;

/**
 * openssl/asn1.h and x509.h: XN_FLAG_RFC2253 without ASN1_STRFLGS_ESC_MSB, so that letters beyond ASCII stay; controls
 * are escaped.
 */
const RFC_2253_FLAGS = 0x1 | 0x2 | 0x10 | 0x100 | 0x200 | (1 << 16) | (1 << 20) | (1 << 24);

/** Memory that C writes a pointer, a length or another number into. */
export class Cell {
  readonly #memory = new Region(8);

  constructor(value = NULL) {
    this.#memory.view.setBigUint64(0, BigInt(value), true);
  }

  get address(): number {
    return this.#memory.address;
  }

  /** The pointer that it holds. */
  get pointer(): number {
    return Number(this.#memory.view.getBigUint64(0, true));
  }

  /** The `int` that it holds. */
  get int(): number {
    return this.#memory.view.getInt32(0, true);
  }
}

/**
 * Calls a function that reads DER (d2i_…). Returns its pointer, or undefined when it refuses the bytes or there are
 * more than it reads.
 * @param free frees what `read` made
 */
export function decoded(
  der: Uint8Array,
  read: (target: number, source: number, length: number) => number,
  free: (pointer: number) => void,
): number | undefined {
  const bytes = new Region(Uint8Array.from(der));
  const position = new Cell(bytes.address);
  const pointer = read(NULL, position.address, bytes.length);
  if (pointer === NULL) {
    x509Library().clearErrors();
    return undefined;
  }
  if (position.pointer === bytes.address + bytes.length) return pointer;
  free(pointer);
  return undefined;
}

/** Calls a function that writes DER (i2d_…). Returns undefined when it fails. */
export function encoded(pointer: number, write: (pointer: number, target: number) => number): Buffer | undefined {
  const length = write(pointer, NULL);
  if (length > 0) {
    const bytes = new Region(length);
    if (write(pointer, new Cell(bytes.address).address) === length) return bytes.bytes;
  }
  x509Library().clearErrors();
  return undefined;
}

/** Returns a C string, of at most 4096 bytes, which must be OpenSSL's own or checked by it. */
export function textAt(address: number): string {
  if (address === NULL) return '';
  const length = x509Library().textLength(address, MAX_TEXT_BYTES);
  return length === 0 ? '' : Buffer.from(memoryAt(address, length)).toString('latin1');
}

/** Returns an X509_NAME as one printable line by RFC 2253, at most 512 characters; empty for an empty name. */
export function nameAt(name: number): string {
  const lib = x509Library();
  const memory = lib.memoryNew(lib.memoryMethod());
  try {
    const text = new Region(MAX_TEXT_BYTES);
    const written = memory === NULL ? -1 : lib.nameWrite(memory, name, 0, RFC_2253_FLAGS);
    const length = written > 0 ? lib.memoryRead(memory, text.address, text.length) : written;
    lib.clearErrors();
    return length < 0 ? '(unreadable name)' : printable(text.bytes.toString('utf8', 0, length), MAX_NAME_CHARACTERS);
  } finally {
    lib.memoryFree(memory);
  }
}

/** Returns the time that an ASN1_TIME says, or undefined when it says none. */
export function dateAt(time: number): Date | undefined {
  // OpenSSL would take NULL for the time of now.
  if (time === NULL) return undefined;
  const tm = new Region(TM_SIZE);
  if (x509Library().timeParts(time, tm.address) !== 1) {
    x509Library().clearErrors();
    return undefined;
  }
  const [second = 0, minute = 0, hour = 0, day = 0, month = 0, year = 0] = new Int32Array(tm.bytes.buffer, 0, 6);
  const date = new Date(0);
  date.setUTCFullYear(year + 1900, month, day);
  date.setUTCHours(hour, minute, second);
  return date;
}

/** Returns a time by ISO 8601, to the second. */
export function isoText(date: Date): string {
  return `${date.toISOString().slice(0, -5)}Z`;
}

/** Returns the pointers of a STACK_OF, which may be NULL. */
export function stackItems(stack: number): number[] {
  const lib = x509Library();
  return Array.from({ length: Math.max(0, lib.stackSize(stack)) }, (_, at) => lib.stackValue(stack, at));
}

/** Runs an action with a STACK_OF that holds pointers and does not own them. */
export function withStack<T>(pointers: readonly number[], action: (stack: number) => T): T {
  const lib = x509Library();
  const stack = lib.stackNew();
  try {
    for (const pointer of pointers) lib.stackPush(stack, pointer);
    return action(stack);
  } finally {
    lib.stackFree(stack);
  }
}
