import { CommandLineError } from '../command-line-error.ts';
import { commandNames, isCommandName } from '../command-names.ts';
import { suggestionFor } from './suggestion.ts';

/** Tells whether a shell asks how a command line may continue. */
export function isCompletion(words: readonly string[]): boolean {
  return words[0] === '--get-yargs-completions';
}

/**
 * Rewrites a command line so that yargs understands all of it: `help CMD` and `version`, a value `-`, and `--`.
 * @throws CkptfsError `bad-argument` for help on an unknown command
 */
export function understandable(words: readonly string[]): string[] {
  return isCompletion(words) ? [...words] : withoutDoubleDash(withSingleDash(withoutHelpCommand(words)));
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

/** What a dash means where `encrypt` takes a path. */
export const STANDARD_INPUT_PATH = '/dev/stdin';

/** yargs takes a single dash neither as the value of an option nor as an argument. */
function withSingleDash(words: readonly string[]): string[] {
  const end = words.indexOf('--') < 0 ? words.length : words.indexOf('--');
  const command = words.find(isCommandName);
  const joined: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    const option = at < end && words[at + 1] === '-' ? dashOption(word, command) : undefined;
    if (option !== undefined) joined.push(`${option}=-`);
    else joined.push(at < end && word === '-' && command === 'encrypt' ? STANDARD_INPUT_PATH : word);
    if (option !== undefined) at++;
  }
  return joined;
}

/** Returns the whole name of an option of which the value may be a dash: standard input, or standard output. */
function dashOption(word: string, command: string | undefined): string | undefined {
  if (word === '-k' || word === '--key-file') return '--key-file';
  return command === 'export' && (word === '-o' || word === '--output') ? '--output' : undefined;
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
