/**
 * Shows text that others wrote: names in images, lines in files on storage, names of processes, output of helpers. A
 * terminal acts on some characters of such text: escape sequences, line feeds that forge lines, marks that change the
 * direction of writing. Each is shown as an escape in printable ASCII. No other file of ckptfs does this.
 */

/**
 * Matches controls (C0, DEL, C1), formats (bidi overrides, zero width), line and paragraph separators, lone surrogates,
 * invisible characters (fillers, variation selectors), and marks on more marks than any script has, which cover the
 * lines around them.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]|(?<=\p{M}{4})\p{M}/gu;

const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** The default limit of one shown text: two paths of the greatest length, and some words. */
const MAX_SHOWN_CHARACTERS = 10_000;

/**
 * Returns one line in which nothing acts on a terminal. A backslash stays as it is: messages are not parsed.
 * @param max characters, at least 3; of a longer text the middle is left out
 */
export function printable(text: string, max: number = MAX_SHOWN_CHARACTERS): string {
  // Shortened before it is escaped too, so that text of any length costs little.
  return shortened(shortened(text, max).replace(UNSAFE, escaped), max);
}

/**
 * Shows a name as one word of one line, reversibly unless it is shortened: a backslash is doubled, and bytes that are
 * not UTF-8 become `\xNN`.
 * @param name raw bytes
 * @param max characters, at least 3; of a longer text the middle is left out
 */
export function printableName(name: Uint8Array, max: number = Number.POSITIVE_INFINITY): string {
  return shortened(decoded(name).map(printablePart).join(''), max);
}

/** Shows a path like {@link printableName}, in quotation marks, with a backslash before each that it contains. */
export function quotedPath(path: Uint8Array): string {
  return `"${printableName(path).replaceAll('"', '\\"')}"`;
}

/** Returns equal JSON text in which everything that a terminal could act on is written as `\uNNNN`. */
export function printableJson(json: string): string {
  // A line feed can only be between tokens: JSON.stringify has escaped those in strings.
  return json.replace(UNSAFE, (character) => (character === '\n' ? character : utf16Escapes(character)));
}

function utf16Escapes(character: string): string {
  return [...Array(character.length).keys()].map((index) => `\\u${hex(character.charCodeAt(index), 4)}`).join('');
}

function shortened(text: string, max: number): string {
  if (text.length <= max) return text;
  const end = Math.floor((max - 1) / 2);
  // Half of a surrogate pair would be shown as a character of its own.
  const head = text.slice(0, max - 1 - end).replace(/[\ud800-\udbff]$/, '');
  const tail = text.slice(text.length - end).replace(/^[\udc00-\udfff]/, '');
  return `${head}…${tail}`;
}

function printablePart(part: string | number): string {
  if (typeof part === 'number') return `\\x${hex(part, 2)}`;
  return part.replaceAll('\\', '\\\\').replace(UNSAFE, escaped);
}

function escaped(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  return SHORT_ESCAPES[character] ?? (code < 0x80 ? `\\x${hex(code, 2)}` : `\\u{${hex(code, 4)}}`);
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
  for (let start = 0; start < bytes.length; ) {
    const fits = (count: number): boolean =>
      start + count <= bytes.length && valid(bytes.subarray(start, start + count)) !== undefined;
    const length = [1, 2, 3, 4].find(fits);
    parts.push(length === undefined ? (bytes[start] ?? 0) : (valid(bytes.subarray(start, start + length)) ?? ''));
    start += length ?? 1;
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
