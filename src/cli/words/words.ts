import { CommandLineError } from '../command-line-error.ts';
import { commandNames, isCommandName } from '../command-names.ts';
import { suggestionFor } from './suggestion.ts';

/** Whether a shell asks how a command line may go on. */
export function isCompletion(words: readonly string[]): boolean {
  return words[0] === '--get-yargs-completions';
}

/**
 * A command line in the form in which yargs understands all of it: `help CMD` and `version`, a key file `-`, and `--`.
 * @throws CkptfsError `bad-argument` for help on what is no command
 */
export function understandable(words: readonly string[]): string[] {
  return isCompletion(words) ? [...words] : withoutDoubleDash(withKeyFromInput(withoutHelpCommand(words)));
}

function withoutHelpCommand(words: readonly string[]): readonly string[] {
  const [first, command] = words;
  if (first === 'version' && words.length === 1) return ['--version'];
  if (first !== 'help') return words;
  if (command === undefined || command.startsWith('-')) return ['--help', ...words.slice(1)];
  if (isCommandName(command)) return [command, '--help'];
  const near = suggestionFor(command, commandNames);
  throw new CommandLineError(`unknown command ${command}${near === undefined ? '' : `; did you mean ${near}?`}`, {
    kind: 'usage',
    command: undefined,
  });
}

/** yargs takes a lone dash for no value of an option. */
function withKeyFromInput(words: readonly string[]): string[] {
  const end = words.indexOf('--') < 0 ? words.length : words.indexOf('--');
  const joined: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    const isKey = at < end && (word === '-k' || word === '--key-file') && words[at + 1] === '-';
    joined.push(isKey ? '--key-file=-' : word);
    if (isKey) at++;
  }
  return joined;
}

/**
 * `--` does what users expect: what comes after it is no option. yargs keeps it from positional arguments altogether; all of ours but those of
 * `exec` are paths, which mean the same with `./` in front.
 */
function withoutDoubleDash(words: readonly string[]): string[] {
  const at = words.indexOf('--');
  if (at < 0 || words.find(isCommandName) === 'exec') return [...words];
  return [...words.slice(0, at), ...words.slice(at + 1).map((word) => (word.startsWith('-') ? `./${word}` : word))];
}
