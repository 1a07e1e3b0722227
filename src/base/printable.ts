/**
 * Shows text that others wrote: names in images, lines in files on storage, names of processes, what helpers print. Such
 * text may hold what a terminal acts on: escape sequences, line feeds that forge lines, marks that turn the direction of
 * writing. All of it is shown as an escape of printable ASCII. Nothing else in ckptfs does this.
 */

/**
 * Controls (C0, DEL, C1), formats (bidi overrides, zero width), line and paragraph separators, lone surrogates, what is not
 * seen at all (fillers, variation selectors), and marks upon more marks than any writing has, which cover lines around.
 */
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]|(?<=\p{M}{4})\p{M}/gu;

const short: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Characters of one shown text, unless a caller says otherwise: two paths of the greatest length, and some words. */
const MAX_SHOWN = 10_000;

/**
 * Returns one line in which nothing acts on a terminal. A backslash stays: this is for messages, which nobody parses.
 * @param max characters, at least 3; of a longer text the middle is left out
 */
export function printable(text: string, max: number = MAX_SHOWN): string {
  // Shortened before it is escaped too, so that text of any length costs little.
  return shortened(shortened(text, max).replace(unsafe, escaped), max);
}

/**
 * Shows a name as one word of one line, reversibly unless it is shortened: a backslash is doubled, bytes that are no
 * UTF-8 are `\xNN`.
 * @param name raw bytes
 * @param max as of {@link printable}
 */
export function printableName(name: Uint8Array, max: number = Number.POSITIVE_INFINITY): string {
  return shortened(decoded(name).map(printablePart).join(''), max);
}

/** Shows a path in quotation marks, with a backslash before what would end them; else as {@link printableName}. */
export function quotedPath(path: Uint8Array): string {
  return `"${printableName(path).replaceAll('"', '\\"')}"`;
}

/** Returns JSON text that says the same, with everything a terminal could act on written as `\uNNNN`. */
export function printableJson(json: string): string {
  // A line feed is only between tokens: inside of strings JSON.stringify has escaped it.
  return json.replace(unsafe, (character) => (character === '\n' ? character : utf16Escapes(character)));
}

function utf16Escapes(character: string): string {
  return [...Array(character.length).keys()].map((at) => `\\u${hex(character.charCodeAt(at), 4)}`).join('');
}

function shortened(text: string, max: number): string {
  if (text.length <= max) return text;
  const end = Math.floor((max - 1) / 2);
  // Half of a surrogate pair would be a character of its own.
  const head = text.slice(0, max - 1 - end).replace(/[\ud800-\udbff]$/, '');
  const tail = text.slice(text.length - end).replace(/^[\udc00-\udfff]/, '');
  return `${head}…${tail}`;
}

function printablePart(part: string | number): string {
  if (typeof part === 'number') return `\\x${hex(part, 2)}`;
  return part.replaceAll('\\', '\\\\').replace(unsafe, escaped);
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return short[character] ?? (code < 0x80 ? `\\x${hex(code, 2)}` : `\\u{${hex(code, 4)}}`);
}

function hex(number: number, digits: number): string {
  return number.toString(16).padStart(digits, '0');
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Returns pieces of valid UTF-8 as text, every other byte as a number. */
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
