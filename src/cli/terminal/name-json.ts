/**
 * A name in JSON: text where it is UTF-8; otherwise, beside the text with its bad bytes replaced, the bytes in base64 under
 * the name with `Base64` behind it.
 */
export function nameJson(key: string, name: Uint8Array): Record<string, string> {
  const bytes = Buffer.from(name);
  const text = bytes.toString('utf8');
  const exact = Buffer.from(text, 'utf8').equals(bytes);
  return exact ? { [key]: text } : { [key]: text, [`${key}Base64`]: bytes.toString('base64') };
}
