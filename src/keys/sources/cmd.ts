import { runForSecret } from './command.ts';
import { commandName } from './command-name.ts';
import { asGarbage, keySource, type OpenSource } from './source.ts';

/** `cmd:COMMAND`: what a command of the shell writes to its standard output. */
export const openSource: OpenSource = (command, { timeoutSeconds }) => {
  const source = commandName(command);
  return keySource(source, (into) => runForSecret(source, command, into, { timeoutSeconds }), asGarbage);
};
