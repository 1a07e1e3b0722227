const [LINE_FEED, RETURN, SPACE, TAB, HASH] = [0x0a, 0x0d, 0x20, 0x09, 0x23];

/** A line of a file, as a view of it without white space around. */
export interface TextLine {
  /** From 1. */
  readonly number: number;
  readonly bytes: Buffer;
}

/** Gives the lines of a file that are neither empty nor a comment, which begins with `#`. */
export function* textLines(contents: Buffer): Generator<TextLine> {
  let number = 1;
  for (let start = 0; start < contents.length; number++) {
    const found = contents.indexOf(LINE_FEED, start);
    const end = found === -1 ? contents.length : found;
    const bytes = trimmed(contents.subarray(start, end));
    if (bytes.length > 0 && bytes[0] !== HASH) yield { number, bytes };
    start = end + 1;
  }
}

/** Tells whether bytes begin with a text of ASCII. */
export function startsWith(bytes: Buffer, text: string): boolean {
  return bytes.subarray(0, text.length).equals(Buffer.from(text));
}

function trimmed(line: Buffer): Buffer {
  const isSpace = (byte: number | undefined): boolean => byte === SPACE || byte === TAB || byte === RETURN;
  let [start, end] = [0, line.length];
  while (start < end && isSpace(line[start])) start++;
  while (end > start && isSpace(line[end - 1])) end--;
  return line.subarray(start, end);
}
