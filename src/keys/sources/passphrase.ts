import { readSecretFile } from '../key-file.ts';
import { commandName } from './command-name.ts';
import { parsePassphrase } from './passphrase-text.ts';
import { asGarbage, type KeySource, type OpenSource, type SourceOptions, secretFrom } from './source.ts';

const COMMAND = 'cmd:';

/** `passphrase:`, which asks on the terminal; `passphrase:cmd:COMMAND`; `passphrase:FILE`. */
export const openSource: OpenSource = (rest, options) => {
  if (rest === '') return askedPassphrase();
  return rest.startsWith(COMMAND)
    ? commandPassphrase(rest.slice(COMMAND.length), options)
    : filePassphrase(rest, options);
};

function filePassphrase(path: string, { warn }: SourceOptions): KeySource {
  const source = `passphrase file ${path}`;
  return {
    source,
    gives: 'passphrase',
    read: async () => {
      const { value, warning } = readSecretFile('passphrase file', path, (text) => parsePassphrase(text, source, path));
      if (warning !== undefined) warn?.(warning);
      return value;
    },
  };
}

function commandPassphrase(command: string, { timeoutSeconds }: SourceOptions): KeySource {
  const source = `passphrase:${commandName(command)}`;
  return {
    source,
    gives: 'passphrase',
    read: async () => {
      const { runForSecret } = await import('./command.ts');
      const run = (into: Buffer) => runForSecret(source, command, into, { timeoutSeconds, hidesErrors: true });
      return secretFrom(source, run, (text) => parsePassphrase(text, source), asGarbage);
    },
  };
}

function askedPassphrase(): KeySource {
  return {
    source: 'the passphrase',
    gives: 'passphrase',
    read: async (purpose = 'open') => {
      const { askForPassphrase, askForNewPassphrase } = await import('./prompt.ts');
      return purpose === 'make' ? askForNewPassphrase() : askForPassphrase();
    },
  };
}
