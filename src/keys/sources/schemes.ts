/** How each kind of source of a secret is written. */
export const sourceForms: Readonly<Record<string, string>> = {
  file: 'file:PATH',
  stdin: 'stdin:',
  fd: 'fd:N',
  env: 'env:NAME',
  cmd: 'cmd:COMMAND',
  https: 'https://HOST/PATH',
  keyring: 'keyring:NAME',
  passphrase: 'passphrase:[FILE|cmd:COMMAND]',
};

/** How each key service is written, whose keys stay where they are. */
export const serviceForms: Readonly<Record<string, string>> = {
  keyprovider: 'keyprovider:NAME[:PARAMETER]',
  tpm2: 'tpm2:[tcti=TCTI;][pcrs=BANK:N,N;][auth-file=FILE]',
  vault: 'vault://HOST[:PORT]/MOUNT/KEY',
  pkcs11: 'pkcs11:ATTRIBUTES[?QUERY]',
  kmip: 'kmip://HOST[:PORT][,HOST…]/KEY',
};

/** Returns whether a text begins with the scheme of a source of a secret. */
export function isKeySource(text: string): boolean {
  return Object.hasOwn(sourceForms, schemeOf(text));
}

/** Returns whether a text begins with the scheme of a key service. */
export function isKeyService(text: string): boolean {
  return Object.hasOwn(serviceForms, schemeOf(text));
}

/** Returns whether a text begins with the scheme of a source or a service. */
export function hasKeyScheme(text: string): boolean {
  return isKeySource(text) || isKeyService(text);
}

/** Returns the scheme that a text begins with, or an empty text. */
export function schemeOf(text: string): string {
  return /^([a-z][a-z0-9+.-]{0,19}):/.exec(text)?.[1] ?? '';
}
