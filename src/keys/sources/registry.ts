import { CkptfsError } from '../../base/errors.ts';
import { isKeySource, schemeOf, serviceForms, sourceForms } from './schemes.ts';
import type { KeySource, OpenSource, SourceOptions } from './source.ts';

/** Every kind of source. Each is loaded when it is used, so that those that are not cost nothing. */
const sources: Readonly<Record<string, () => Promise<{ readonly openSource: OpenSource }>>> = {
  file: () => import('./file.ts'),
  stdin: () => import('./stdin.ts'),
  fd: () => import('./fd.ts'),
  env: () => import('./env.ts'),
  cmd: () => import('./cmd.ts'),
  https: () => import('./https.ts'),
  keyring: () => import('./keyring.ts'),
  passphrase: () => import('./passphrase.ts'),
};

/**
 * Makes a source of a text such as `file:PATH`. Nothing of it is read yet.
 * @throws CkptfsError `bad-argument` for an unknown scheme, or what its scheme does not allow
 */
export async function openKeySource(text: string, options: SourceOptions = {}): Promise<KeySource> {
  const scheme = schemeOf(text);
  const load = isKeySource(text) ? sources[scheme] : undefined;
  if (load === undefined) throw new CkptfsError('bad-argument', refusal(scheme));
  const { openSource } = await load();
  return openSource(text.slice(scheme.length + 1), options);
}

/** Says why a text is refused. It may be a key that was given by mistake, so it is not repeated. */
function refusal(name: string): string {
  const known = `known are ${[...Object.values(sourceForms), ...Object.values(serviceForms)].join(', ')}`;
  if (name === 'http') return `a key is not fetched by http:, which anyone on the way can read; ${known}`;
  return name === '' ? `a source of a key begins with a scheme; ${known}` : `no key comes from ${name}:; ${known}`;
}
