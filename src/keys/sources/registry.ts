import { CkptfsError } from '../../base/errors.ts';
import type { KeySource, OpenSource, SourceOptions } from './source.ts';

interface Scheme {
  /** How it is written. */
  readonly form: string;
  readonly load: () => Promise<{ readonly openSource: OpenSource }>;
}

/** Every kind of source. Each is loaded when it is used, so that those that are not cost nothing. */
const schemes: Readonly<Record<string, Scheme>> = {
  file: { form: 'file:PATH', load: () => import('./file.ts') },
  stdin: { form: 'stdin:', load: () => import('./stdin.ts') },
  fd: { form: 'fd:N', load: () => import('./fd.ts') },
  env: { form: 'env:NAME', load: () => import('./env.ts') },
  cmd: { form: 'cmd:COMMAND', load: () => import('./cmd.ts') },
  https: { form: 'https://HOST/PATH', load: () => import('./https.ts') },
  keyring: { form: 'keyring:NAME', load: () => import('./keyring.ts') },
  passphrase: { form: 'passphrase:[FILE|cmd:COMMAND]', load: () => import('./passphrase.ts') },
};

/** How each kind of source is written: `file:PATH`. */
export const sourceForms: readonly string[] = Object.values(schemes).map(({ form }) => form);

/** The names of the kinds: `file`. */
export const sourceSchemes: readonly string[] = Object.keys(schemes);

/** Returns whether a text begins with the scheme of a source. */
export function isKeySource(text: string): boolean {
  const [, name = ''] = /^([a-z]+):/.exec(text) ?? [];
  return Object.hasOwn(schemes, name);
}

/**
 * Makes a source of a text such as `file:PATH`. Nothing of it is read yet.
 * @throws CkptfsError `bad-argument` for an unknown scheme, or what its scheme does not allow
 */
export async function openKeySource(text: string, options: SourceOptions = {}): Promise<KeySource> {
  const [, name = '', rest = ''] = /^([a-z][a-z0-9+.-]{0,19}):(.*)$/s.exec(text) ?? [];
  if (!Object.hasOwn(schemes, name)) throw new CkptfsError('bad-argument', refusal(name));
  const { openSource } = await (schemes[name] as Scheme).load();
  return openSource(rest, options);
}

/** Says why a text is refused. It may be a key that was given by mistake, so it is not repeated. */
function refusal(name: string): string {
  const known = `known are ${sourceForms.join(', ')}`;
  if (name === 'http') return `a key is not fetched by http:, which anyone on the way can read; ${known}`;
  return name === '' ? `a source of a key begins with a scheme; ${known}` : `no key comes from ${name}:; ${known}`;
}
