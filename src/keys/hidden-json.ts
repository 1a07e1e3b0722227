import { MalformedError } from '../base/bytes.ts';
import { wipe } from '../base/wipe.ts';
import { decodeBase64 } from '../crypto/base64.ts';
import { offHeap } from '../crypto/off-heap.ts';
import { Secret } from '../crypto/secret.ts';
import { membersOf } from '../format/members.ts';

const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a];
/** How some encoders write `+`, `/` and `=`. */
const ESCAPES = ['\\/', '\\u002b', '\\u002B', '\\u002f', '\\u002F', '\\u003d', '\\u003D'].map((text) => ({
  text: Buffer.from(text),
  byte: (JSON.parse(`"${text}"`) as string).charCodeAt(0),
}));
const WHITE_SPACE: readonly number[] = [0x20, 0x09, 0x0a, 0x0d];

/**
 * A JSON object (RFC 8259) of which some texts are secret. No text that is a value becomes a JavaScript string unless
 * it is asked for: those would stay in memory, where nothing can wipe them.
 */
export class HiddenJson {
  /** With the number of a text in its place. */
  readonly #object: unknown;
  readonly #texts: readonly Uint8Array[];

  private constructor(object: unknown, texts: readonly Uint8Array[]) {
    this.#object = object;
    this.#texts = texts;
  }

  /** @param bytes UTF-8, which is to stay as it is while this is used. @throws MalformedError for anything else */
  static parse(bytes: Uint8Array): HiddenJson {
    const { shown, texts } = hide(bytes);
    let value: unknown;
    try {
      value = JSON.parse(shown);
    } catch {
      // Its message would quote a part of the text.
      throw new MalformedError('it is not JSON');
    }
    membersOf(value, 'it');
    return new HiddenJson(value, texts);
  }

  /**
   * Returns the bytes of a text, between its quotation marks; undefined where there is none.
   * @param path the names of the members that lead to it
   */
  bytes(...path: readonly string[]): Uint8Array | undefined {
    return this.#bytesOf(this.#at(path));
  }

  /** Returns a text that is not secret; undefined where there is none. @throws MalformedError */
  text(...path: readonly string[]): string | undefined {
    const bytes = this.bytes(...path);
    return bytes === undefined ? undefined : unescaped(bytes);
  }

  /** Returns the texts of a list that are not secret. @throws MalformedError */
  texts(...path: readonly string[]): string[] {
    const list = this.#at(path);
    if (!Array.isArray(list)) return [];
    return list.flatMap((value: unknown) => this.#bytesOf(value) ?? []).map(unescaped);
  }

  /** Returns what is no text: a number, `true`, an object; undefined for a text, or where there is nothing. */
  plain(...path: readonly string[]): unknown {
    const value = this.#at(path);
    return typeof value === 'string' ? undefined : value;
  }

  /** Returns what a text of base64 stands for; undefined where there is none. @throws MalformedError */
  secret(...path: readonly string[]): Secret | undefined {
    const text = this.bytes(...path);
    if (text === undefined || text.length === 0) return undefined;
    const digits = withoutEscapes(text);
    const decoded = decodeBase64(digits);
    wipe(digits);
    if (decoded === undefined || decoded.length === 0) throw new MalformedError(`${path.join('.')} is no base64`);
    return Secret.take(decoded);
  }

  #at(path: readonly string[]): unknown {
    return path.reduce<unknown>((value, name) => memberOf(value, name), this.#object);
  }

  #bytesOf(value: unknown): Uint8Array | undefined {
    return typeof value === 'string' ? this.#texts[Number(value)] : undefined;
  }
}

/** Joins texts that are not secret with bytes that are, off the heap. The caller wipes it. */
export function joinSecretText(...parts: readonly (string | Uint8Array)[]): Buffer {
  const pieces = parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part));
  const whole = offHeap(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Puts in place of each text that is a value its number. */
function hide(bytes: Uint8Array): { readonly shown: string; readonly texts: readonly Uint8Array[] } {
  const texts: Uint8Array[] = [];
  let shown = '';
  let at = 0;
  while (at < bytes.length) {
    const start = indexOf(bytes, QUOTE, at);
    shown += decoded(bytes.subarray(at, start));
    if (start === bytes.length) break;
    const end = endOfText(bytes, start + 1);
    const text = bytes.subarray(start + 1, end);
    at = end + 1;
    shown += `"${isName(bytes, at) ? decoded(text) : texts.push(text) - 1}"`;
  }
  return { shown, texts };
}

/** Returns where a text ends that begins at `at`. */
function endOfText(bytes: Uint8Array, at: number): number {
  for (let index = at; index < bytes.length; index++) {
    if (bytes[index] === QUOTE) return index;
    if (bytes[index] === BACKSLASH) index++;
  }
  throw new MalformedError('it is not JSON');
}

/** Tells whether what comes after a text makes it the name of a member. */
function isName(bytes: Uint8Array, after: number): boolean {
  let at = after;
  while (WHITE_SPACE.includes(bytes[at] ?? 0)) at++;
  return bytes[at] === COLON;
}

function indexOf(bytes: Uint8Array, byte: number, from: number): number {
  const index = bytes.indexOf(byte, from);
  return index === -1 ? bytes.length : index;
}

/** Copies base64, off the heap, without escapes. */
function withoutEscapes(text: Uint8Array): Uint8Array {
  const plain = offHeap(text.length);
  let [at, length] = [0, 0];
  while (at < text.length) {
    const written = text[at] === BACKSLASH ? escapeAt(text, at) : undefined;
    plain[length++] = written?.byte ?? text[at] ?? 0;
    at += written?.text.length ?? 1;
  }
  return plain.subarray(0, length);
}

function escapeAt(bytes: Uint8Array, at: number) {
  return ESCAPES.find(({ text }) => text.equals(bytes.subarray(at, at + text.length)));
}

/** @throws MalformedError */
function unescaped(bytes: Uint8Array): string {
  try {
    return JSON.parse(`"${decoded(bytes)}"`) as string;
  } catch {
    throw new MalformedError('it is not JSON');
  }
}

function decoded(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new MalformedError('it is not UTF-8');
  }
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}
