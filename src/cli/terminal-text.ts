/**
 * Text that comes from an image or a path may hold what a terminal acts on: escape sequences, line feeds that forge lines,
 * marks that turn the direction of writing. All of it is shown as an escape of printable ASCII.
 */

/** Controls (C0, DEL, C1), formats (bidi overrides, zero width), line and paragraph separators, lone surrogates. */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

const short: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** One line in which nothing acts on a terminal. A backslash stays: this is for messages, which nobody parses. */
export function safeText(text: string): string {
  return text.replace(unsafe, escaped);
}

/**
 * A name as one word of one line, reversibly: a backslash is doubled, bytes that are no UTF-8 are `\xNN`.
 * @param name raw bytes
 */
export function safeName(name: Uint8Array): string {
  return decoded(name).map(safePart).join('');
}

function safePart(part: string | number): string {
  return typeof part === 'number' ? `\\x${hex(part, 2)}` : safeText(part.replaceAll('\\', '\\\\'));
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return short[character] ?? (code < 0x80 ? `\\x${hex(code, 2)}` : `\\u{${hex(code, 4)}}`);
}

function hex(number: number, digits: number): string {
  return number.toString(16).padStart(digits, '0');
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Pieces of valid UTF-8 as text, every other byte as a number. */
function decoded(bytes: Uint8Array): (string | number)[] {
  const whole = valid(bytes);
  if (whole !== undefined) return [whole];
  const parts: (string | number)[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = [1, 2, 3, 4].find((count) => at + count <= bytes.length && valid(bytes.subarray(at, at + count)));
    parts.push(length === undefined ? (bytes[at] ?? 0) : (valid(bytes.subarray(at, at + length)) ?? ''));
    at += length ?? 1;
  }
  return parts;
}

function valid(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}
