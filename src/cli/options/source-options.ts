import { CkptfsError } from '../../base/errors.ts';
import type { KeyFileWarning } from '../../keys/key-file.ts';
import { parseHeaderField } from '../../keys/sources/https-headers.ts';
import type { SourceOptions } from '../../keys/sources/source.ts';
import type { KeyArguments, KeyServerArguments, RecipientArguments } from './key-options.ts';

/** Returns how sources and services of keys are asked. @throws CkptfsError `bad-argument`, `bad-key-file` */
export function sourceOptionsOf(args: KeyServerArguments, warn: (warning: KeyFileWarning) => void): SourceOptions {
  return {
    timeoutSeconds: args.keyTimeout,
    // At once, so that no command which is run for a key gets their variables.
    headers: args.keyHeader?.map(parseHeaderField),
    caFile: args.keyCaFile,
    certFile: args.keyCert,
    certKeyFile: args.keyCertKey,
    warn,
  };
}

/**
 * Refuses header fields where several servers are named that would get them: a token is for one of them.
 * @throws CkptfsError `bad-argument`
 */
export function refuseSharedHeaders(args: KeyArguments & RecipientArguments): void {
  const { keyHeader = [], key = [], recipient = [], allowKeyUrl = [] } = args;
  const servers = new Set([...key, ...recipient, ...allowKeyUrl].flatMap(serverOf));
  if (keyHeader.length === 0 || servers.size < 2) return;
  const message = `--key-header is for one server, and ${servers.size} are named: each of them would get it`;
  throw new CkptfsError('bad-argument', message);
}

/** Returns the server that gets header fields for a text, if it names one. */
function serverOf(text: string): string[] {
  if (!/^(?:https|vault):/.test(text) || !URL.canParse(text)) return [];
  const { protocol, host } = new URL(text);
  return [`${protocol}//${host}`];
}
