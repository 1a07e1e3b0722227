import { CkptfsError } from '../../base/errors.ts';
import type { Secret } from '../../crypto/secret.ts';
import { readSecretFile } from '../key-file.ts';
import { claimVariable, takeVariable } from '../sources/environment.ts';
import { parsePassphrase } from '../sources/passphrase-text.ts';
import { type SourceOptions, secretFrom } from '../sources/source.ts';

/** Reads the PIN of a token, which the caller wipes. @throws CkptfsError `bad-key-file`, `interrupted` */
export type ReadPin = (token: string) => Promise<Secret>;

/**
 * Makes what reads a PIN from where `pin-source` says: `file:PATH`, `/PATH` or `env:NAME`. A variable is taken out of
 * the environment at once. Returns undefined without a `pin-source`.
 * @throws CkptfsError `bad-argument`
 */
export function pinFrom(text: string | undefined, { warn }: SourceOptions): ReadPin | undefined {
  if (text === undefined) return undefined;
  if (text.startsWith('env:')) return pinFromVariable(text.slice('env:'.length));
  const path = /^(?:file:(?:\/\/(?:localhost)?(?=\/))?)?(\/.*)$/s.exec(text)?.[1];
  if (path === undefined) {
    throw new CkptfsError('bad-argument', 'pin-source of a pkcs11: URI is file:/PATH, /PATH or env:NAME');
  }
  const parse = (contents: Uint8Array): Secret => parsePassphrase(contents, `PIN file ${path}`, path);
  return async () => {
    const { value, warning } = readSecretFile('PIN file', path, parse);
    if (warning !== undefined) warn?.(warning);
    return value;
  };
}

function pinFromVariable(name: string): ReadPin {
  claimVariable(name);
  const source = `env:${name}`;
  return () =>
    secretFrom(
      source,
      (into) => takeVariable(name, into),
      (text) => parsePassphrase(text, source),
    );
}

/** Asks for the PIN on the terminal. */
export const askForPin: ReadPin = async (token) => {
  const { askForPassphrase } = await import('../sources/prompt.ts');
  try {
    return await askForPassphrase(`PIN of token ${token}`);
  } catch (error) {
    if (!(error instanceof CkptfsError && error.code === 'bad-key-file')) throw error;
    if (error.data?.reason !== 'no-terminal') throw error;
    throw error.reworded(`the PIN of token ${token} is needed, and there is no terminal to ask for it`);
  }
};
