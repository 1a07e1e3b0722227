import { CkptfsError } from '../../base/errors.ts';

const DEFAULT_PORT = 8200;
/** A part of a path that every server reads as itself. */
const PART = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}$/;

/** What a slot has room for. */
const MAX_LENGTH = 512;

/** A key of a transit engine. */
export interface VaultPlace {
  /** `vault://HOST:PORT/MOUNT/KEY`. */
  readonly text: string;
  /** `MOUNT/KEY`, which slots have: servers of one cluster have several names. */
  readonly keyId: string;
  /** Returns the URL of a call of the engine. */
  urlOf(what: 'keys' | 'encrypt' | 'decrypt'): URL;
}

/**
 * Parses what comes after `vault:`.
 * @throws CkptfsError `bad-argument`, which does not repeat the text: it may have a token
 */
export function parsePlace(rest: string): VaultPlace {
  const [, authority = '', path = ''] =
    /^\/\/([A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?)\/(.+)$/.exec(rest) ?? [];
  const parts = path.split('/');
  const key = parts.pop();
  const server = `https://${/:\d+$/.test(authority) ? authority : `${authority}:${DEFAULT_PORT}`}`;
  if (
    key === undefined ||
    parts.length === 0 ||
    ![...parts, key].every((part) => PART.test(part)) ||
    !URL.canParse(server)
  )
    throw new CkptfsError(
      'bad-argument',
      'vault: needs a server, the path of a transit engine, and a key: vault://HOST/MOUNT/KEY',
    );
  const mount = parts.join('/');
  const text = `vault:${server.slice('https:'.length)}/${mount}/${key}`;
  if (text.length > MAX_LENGTH)
    throw new CkptfsError('bad-argument', `vault: server and key have more than ${MAX_LENGTH} characters`);
  return {
    text,
    keyId: `${mount}/${key}`,
    urlOf: (what) => new URL(`${server}/v1/${mount}/${what}/${key}`),
  };
}
