import { CommandLineError } from '../command-line-error.ts';
import { commandNames, isCommandName } from '../command-names.ts';
import { suggestionFor } from './suggestion.ts';

/** Tells whether a shell asks how a command line may continue. */
export function isCompletion(words: readonly string[]): boolean {
  return words[0] === '--get-yargs-completions';
}

/**
 * Rewrites a command line so that yargs understands all of it: `help CMD` and `version`, a key file `-`, and `--`.
 * @throws CkptfsError `bad-argument` for help on an unknown command
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

/** yargs does not take a single dash as the value of an option. */
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
 * Lets `--` do what users expect: a word after it is not an option. yargs does not make positional arguments of such
 * words. Except for those of `exec` they are all paths, which mean the same with `./` in front.
 */
function withoutDoubleDash(words: readonly string[]): string[] {
  const at = words.indexOf('--');
  if (at < 0 || words.find(isCommandName) === 'exec') return [...words];
  return [...words.slice(0, at), ...words.slice(at + 1).map((word) => (word.startsWith('-') ? `./${word}` : word))];
}
