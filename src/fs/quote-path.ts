/**
 * A path of any bytes as text for one line of a log: in quotation marks, with a backslash before what would end them, and every byte
 * that is not printable ASCII or part of valid UTF-8 text as `\xNN`. Control characters never get through.
 */
export function quotePath(path: Uint8Array): string {
  let text = '';
  for (const character of Buffer.from(path).toString('utf8')) {
    if (character === '\ufffd') return `"${escaped(path)}"`;
    text += unprintable.test(character) ? escaped(Buffer.from(character)) : withBackslash(character);
  }
  return `"${text}"`;
}

/** Controls, and what changes the direction of text or breaks lines. */
const unprintable = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

function escaped(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    const printable = byte >= 0x20 && byte < 0x7f;
    text += printable ? withBackslash(String.fromCharCode(byte)) : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return text;
}

function withBackslash(character: string): string {
  return character === '"' || character === '\\' ? `\\${character}` : character;
}
