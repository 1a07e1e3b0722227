import { CkptfsError } from '../../base/errors.ts';

/** The characters that stay as they are when a value is written. */
const PLAIN_IN_PATH = /[A-Za-z0-9._~-]/;
const PLAIN_IN_QUERY = /[A-Za-z0-9._~:=/-]/;
const NOTHING = /^$/;

/** What the path of a URI selects a library, a slot, a token and an object by (RFC 7512 §2.3). */
export const pathAttributes = [
  'token',
  'manufacturer',
  'serial',
  'model',
  'library-manufacturer',
  'library-version',
  'library-description',
  'object',
  'type',
  'id',
  'slot-description',
  'slot-manufacturer',
  'slot-id',
] as const;
export type PathAttribute = (typeof pathAttributes)[number];

/**
 * What the query may have. `x-init-reserved` is the text that a module is initialized with, by the name that p11-kit
 * has for it; RFC 7512 leaves such names to vendors.
 */
export const queryAttributes = ['module-path', 'pin-source', 'x-init-reserved'] as const;
export type QueryAttribute = (typeof queryAttributes)[number];

/** The objects that `type` names. */
const objectTypes: ReadonlySet<string> = new Set(['cert', 'data', 'private', 'public', 'secret-key']);

/** A `pkcs11:` URI: the bytes of each attribute that it has, with nothing encoded. */
export interface Pkcs11Uri {
  readonly path: ReadonlyMap<PathAttribute, Buffer>;
  readonly query: ReadonlyMap<QueryAttribute, Buffer>;
}

/** Characters of a URI that it may have. */
const MAX_LENGTH = 8192;
/** pk11-pchar and pk11-qchar of RFC 7512 §2.3, with `%` for what is encoded. */
const PATH_VALUE = /^[A-Za-z0-9._~:[\]@!$'()*+,=&%-]*$/;
const QUERY_VALUE = /^[A-Za-z0-9._~:[\]@!$'()*+,=/?|%-]*$/;

/**
 * Reads what follows `pkcs11:`. An attribute of the query that is not known is passed over, as RFC 7512 wants it, and
 * one of the path is refused, since it would select something. No value is repeated in an error: it may be a PIN.
 * @throws CkptfsError `bad-argument`
 */
export function parsePkcs11Uri(rest: string): Pkcs11Uri {
  if (rest.length > MAX_LENGTH) throw refused(`it has more than ${MAX_LENGTH} characters`);
  const mark = rest.indexOf('?');
  const [path, query] = mark === -1 ? [rest, ''] : [rest.slice(0, mark), rest.slice(mark + 1)];
  const uri = {
    path: attributesIn(path, ';', PATH_VALUE, (name) => {
      if (isOneOf(pathAttributes, name)) return name;
      throw refused('an attribute of its path is not one that selects a token or an object');
    }),
    query: attributesIn(query, '&', QUERY_VALUE, (name) => {
      if (name === 'pin-value') {
        throw refused('pin-value would show the PIN to every user of this host; name a file by pin-source');
      }
      if (name === 'module-name') throw refused('module-name is not looked up; name the module by module-path');
      return isOneOf(queryAttributes, name) ? name : undefined;
    }),
  };
  check(uri);
  return uri;
}

/** Writes a URI; without its query it names the object for people, and has no secret. */
export function formatPkcs11Uri({ path, query }: Pkcs11Uri, part: 'all' | 'path' = 'all'): string {
  const selectors = [...path].map(([name, value]) =>
    name === 'id' ? formatId(value) : `${name}=${encoded(value, PLAIN_IN_PATH)}`,
  );
  const others = [...query].map(([name, value]) => `${name}=${encoded(value, PLAIN_IN_QUERY)}`);
  const shown = part === 'path' ? [] : others;
  return `pkcs11:${selectors.join(';')}${shown.length === 0 ? '' : `?${shown.join('&')}`}`;
}

/** Writes the id of an object as an attribute. */
export function formatId(id: Uint8Array): string {
  return `id=${encoded(id, NOTHING)}`;
}

/** Returns an attribute as text, or undefined without it. */
export function queryText({ query }: Pkcs11Uri, name: QueryAttribute): string | undefined {
  return query.get(name)?.toString();
}

function attributesIn<Name>(
  text: string,
  separator: string,
  form: RegExp,
  nameOf: (name: string) => Name | undefined,
): Map<Name, Buffer> {
  const found = new Map<Name, Buffer>();
  for (const part of text === '' ? [] : text.split(separator)) {
    const equals = part.indexOf('=');
    if (equals < 1) throw refused(`its attributes are written NAME=VALUE, with "${separator}" between them`);
    const name = nameOf(part.slice(0, equals));
    const value = part.slice(equals + 1);
    if (!form.test(value)) throw refused('a character is not allowed in it; a space, for example, is written %20');
    if (name === undefined) continue;
    if (found.has(name)) throw refused(`it has ${String(name)} twice`);
    found.set(name, decoded(value));
  }
  return found;
}

function decoded(value: string): Buffer {
  if (/%(?![0-9A-Fa-f]{2})/.test(value)) throw refused('"%" is not followed by two hexadecimal digits');
  const bytes = value.replace(/%(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  return Buffer.from(bytes, 'latin1');
}

function encoded(value: Uint8Array, plain: RegExp): string {
  const characters = [...value].map((byte) => {
    const character = String.fromCharCode(byte);
    return plain.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  });
  return characters.join('');
}

function check({ path, query }: Pkcs11Uri): void {
  for (const [name, value] of [...path, ...query]) {
    if (name === 'id') continue;
    if (!isText(value)) throw refused(`${name} is no text in UTF-8`);
  }
  const type = path.get('type')?.toString();
  if (type !== undefined && !objectTypes.has(type)) throw refused(`type is one of ${[...objectTypes].join(', ')}`);
  const slot = path.get('slot-id')?.toString();
  if (slot !== undefined && !(/^\d{1,16}$/.test(slot) && Number.isSafeInteger(Number(slot)))) {
    throw refused('slot-id is no number');
  }
  const module = query.get('module-path')?.toString();
  if (module !== undefined && !module.startsWith('/')) throw refused('module-path is no absolute path');
}

/** Returns whether bytes are text that C can take. */
function isText(value: Buffer): boolean {
  return !value.includes(0) && Buffer.from(value.toString()).equals(value);
}

function isOneOf<Word extends string>(words: readonly Word[], text: string): text is Word {
  return (words as readonly string[]).includes(text);
}

function refused(why: string): CkptfsError {
  return new CkptfsError('bad-argument', `this is no pkcs11: URI that can be used: ${why}`);
}
