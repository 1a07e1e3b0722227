import { CkptfsError } from '../../base/errors.ts';
import { type ProtocolVersion, protocolVersions } from './messages.ts';

/** A server of keys. */
export interface ServerAddress {
  /** A name or an IP address; one of IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** As messages have it: `kms.example`, `[::1]:5697`. */
  readonly text: string;
}

/** What `kmip://HOST[:PORT][,HOST[:PORT]…][/KEY][?PARAMETERS]` says. */
export interface KmipAddress {
  /** At least one; they are tried in this order. */
  readonly servers: readonly ServerAddress[];
  /** The unique identifier or the name of a key. */
  readonly key: string | undefined;
  /** Whether keys are fetched, in place of asking the server to encrypt and to decrypt. */
  readonly fetchesKey: boolean;
  /** The only version of the protocol that is spoken. */
  readonly version: ProtocolVersion | undefined;
  /** Its beginning without parameters, `kmip://HOST,HOST/KEY`. */
  readonly text: string;
}

const DEFAULT_PORT = 5696;
const MAX_PORT = 65_535;
const MAX_SERVERS = 8;
/** Characters of a key: those that the slot of an image may have for it. */
const MAX_KEY_LENGTH = 512;

/** @param rest what comes after `kmip:` @throws CkptfsError `bad-argument` */
export function parseKmipAddress(rest: string): KmipAddress {
  const [, hosts, path = '', query = ''] = /^\/\/([^/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(rest) ?? [];
  if (hosts === undefined) throw wrong('it is written kmip://HOST/KEY');
  const servers = hosts.split(',').map(parsedServer);
  if (servers.length > MAX_SERVERS) throw wrong(`more than ${MAX_SERVERS} servers`);
  const key = path === '' ? undefined : parsedKey(path);
  const { use, version } = parsedQuery(query);
  const place = `kmip://${servers.map(({ text }) => text).join(',')}`;
  return {
    servers,
    key,
    fetchesKey: use !== undefined,
    version,
    text: key === undefined ? place : `${place}/${keyPath(key)}`,
  };
}

/** Writes the address of a key of the same servers. */
export function keyUrl({ servers }: KmipAddress, key: string): string {
  return `kmip://${servers.map(({ text }) => text).join(',')}/${keyPath(key)}`;
}

/** Tells whether an address can name a key by a text. */
export function isKey(text: string): boolean {
  return text.length > 0 && text.length <= MAX_KEY_LENGTH && !/\p{Cc}/u.test(text);
}

/**
 * Tells whether a key is written as servers write the identifiers that they give, a number or a UUID. It is never taken
 * for a name then: any client may choose a name, also that of a key that was destroyed.
 */
export function isIdentifier(key: string): boolean {
  return /^(?:\d+|[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12})$/i.test(key);
}

/** Writes a key as the path of an address. */
export function keyPath(key: string): string {
  return encodeURIComponent(key).replaceAll('%3A', ':').replaceAll('%40', '@');
}

function parsedServer(text: string): ServerAddress {
  const [, name = '', digits] = /^(\[[\da-fA-F:.]+\]|[\w.-]{1,253})(?::(\d{1,5}))?$/.exec(text) ?? [];
  const port = digits === undefined ? DEFAULT_PORT : Number(digits);
  if (name === '' || port < 1 || port > MAX_PORT) throw wrong('a server is written HOST or HOST:PORT');
  return { host: name.replace(/^\[|\]$/g, ''), port, text: port === DEFAULT_PORT ? name : `${name}:${port}` };
}

function parsedKey(path: string): string {
  const key = decoded(path);
  if (key === undefined || !isKey(key))
    throw wrong(`a key has 1 to ${MAX_KEY_LENGTH} characters, none of them a control character`);
  return key;
}

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

function parsedQuery(query: string): { readonly use?: 'get'; readonly version?: ProtocolVersion } {
  const parameters = [...new URLSearchParams(query)];
  const names = parameters.map(([name]) => name);
  if (new Set(names).size !== names.length) throw wrong('a parameter is given more than once');
  return Object.fromEntries(
    parameters.map(([name, value]) => {
      if (name === 'use' && value === 'get') return [name, value];
      if (name === 'version' && protocolVersions.some((known) => known === value)) return [name, value];
      throw wrong(`its parameters are use=get and version=${protocolVersions.join('|')}`);
    }),
  );
}

function wrong(message: string): CkptfsError {
  return new CkptfsError('bad-argument', `this is no address of a KMIP server: ${message}`);
}
