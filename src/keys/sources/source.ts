import type { Deadline } from '../../base/deadline.ts';
import { CkptfsError } from '../../base/errors.ts';
import { wipe } from '../../base/wipe.ts';
import { offHeap } from '../../crypto/off-heap.ts';
import type { Secret } from '../../crypto/secret.ts';
import type { KeyFileWarning } from '../key-file.ts';
import { parseKeyText } from '../key-text.ts';

/** Where a wrapping key or a passphrase is had from. Nothing is read before {@link read}. */
export interface KeySource {
  /** Names it in messages, and never has a secret: `env:NAME`. */
  readonly source: string;
  readonly gives: 'key' | 'passphrase';
  /**
   * Reads the secret, which the caller wipes. A key has 16, 24 or 32 bytes, a passphrase 1 to 1024.
   * @param purpose a passphrase for a new slot is asked for twice
   * @throws CkptfsError `bad-key-file`, `key-unavailable`, `interrupted`, `missing-feature`
   */
  read(purpose?: 'open' | 'make'): Promise<Secret>;
}

/** A header field whose value is read when it is needed. */
export interface HeaderField {
  readonly name: string;
  /** Reads the value, a JavaScript string because node:https takes no other. @throws CkptfsError `bad-key-file` */
  readonly value: () => string;
}

export interface SourceOptions {
  /** How long a command or a server may take in all, 1 to 3600; 30 by default. */
  readonly timeoutSeconds?: number | undefined;
  /** Ends it earlier: the time that several URLs have together. */
  readonly deadline?: Deadline | undefined;
  /** Tells whether a redirect of a server to another of its URLs may be followed; by default it may. */
  readonly mayFollow?: ((place: URL) => boolean) | undefined;
  /** Header fields for a server. */
  readonly headers?: readonly HeaderField[] | undefined;
  /** PEM file of the certificates of the authorities to trust for a server, in place of the usual ones. */
  readonly caFile?: string | undefined;
  /** PEM files of the client certificate and its private key for a server. */
  readonly certFile?: string | undefined;
  readonly certKeyFile?: string | undefined;
  /** Is told of files that other users can read or change. */
  readonly warn?: ((warning: KeyFileWarning) => void) | undefined;
}

/** Makes a source of what comes after the `:` of its scheme. @throws CkptfsError `bad-argument` */
export type OpenSource = (rest: string, options: SourceOptions) => KeySource;

/** Bytes of the text of a secret, white space included. */
export const MAX_TEXT_SIZE = 4096;

/** Fills memory, larger than {@link MAX_TEXT_SIZE}, from its start. Returns how many bytes there are, at most all. */
export type ReadText = (into: Buffer) => number | Promise<number>;

/**
 * Reads text into memory that is wiped at the end, and makes a secret of it.
 * @param onFault is told when the text is not what it must be, and may throw another error
 * @throws CkptfsError `bad-key-file` when it is too long; what `readText` and `parse` throw
 */
export async function secretFrom(
  source: string,
  readText: ReadText,
  parse: (text: Uint8Array) => Secret,
  onFault: (error: unknown) => void = () => undefined,
): Promise<Secret> {
  const text = offHeap(MAX_TEXT_SIZE + 1);
  try {
    const length = await readText(text);
    try {
      if (length > MAX_TEXT_SIZE) throw tooLarge(source);
      return parse(text.subarray(0, length));
    } catch (error) {
      onFault(error);
      throw error;
    }
  } finally {
    wipe(text);
  }
}

function tooLarge(source: string): CkptfsError {
  return new CkptfsError('bad-key-file', `${source}: it has more than ${MAX_TEXT_SIZE} bytes`, {
    data: { reason: 'too-large' },
  });
}

/** Makes a source of a key in hexadecimal. @param onFault as for {@link secretFrom} */
export function keySource(source: string, readText: ReadText, onFault?: (error: unknown) => void): KeySource {
  const parse = (text: Uint8Array) => parseKeyText(text, source);
  return { source, gives: 'key', read: () => secretFrom(source, readText, parse, onFault) };
}

/**
 * Turns a fault of a text that another program answered into one of that program.
 * @throws CkptfsError `key-unavailable`
 */
export function asGarbage(error: unknown): never {
  const message = error instanceof Error ? error.message : String(error);
  throw new CkptfsError('key-unavailable', message, { data: { reason: 'garbage' }, cause: error });
}
