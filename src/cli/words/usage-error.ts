import { CommandLineError } from '../command-line-error.ts';
import { commandNames, isCommandName } from '../command-names.ts';
import { suggestionFor } from './suggestion.ts';

/**
 * Makes the error for what yargs reports about a command line, in words that tell a user more.
 * @param message as yargs writes it
 * @param words the command line, up to `--`
 * @param options names of all options that could have been given, without dashes
 */
export function usageError(message: string, words: readonly string[], options: readonly string[]): CommandLineError {
  const command = words.find(isCommandName);
  const text = message
    .replace(/^YError: /, '')
    .trim()
    .replace(/\s*\n\s*/g, ' ');
  return new CommandLineError(reworded(text, words, options), { kind: 'usage', command });
}

function reworded(text: string, words: readonly string[], options: readonly string[]): string {
  const [, unknown] = /^Unknown (?:argument|command)s?: (.*)$/.exec(text) ?? [];
  if (unknown !== undefined) return unknownWords(unknown.split(', '), words, options);
  const [, missing] = /^Not enough arguments following: (\S+)/.exec(text) ?? [];
  if (missing !== undefined) return `the option ${dashed(missing)} needs a value`;
  let reworded = text.startsWith('Invalid values:') ? text.replaceAll('"', '') : text;
  for (const [pattern, plain] of rewording) reworded = reworded.replace(pattern, plain);
  return reworded;
}

const rewording: readonly (readonly [RegExp, string])[] = [
  [/^Not enough non-option arguments: got (\d+), need at least (\d+)/, 'an argument is missing: $1 given, $2 needed'],
  [/^Too many non-option arguments: got (\d+), maximum of (\d+)/, 'too many arguments: $1 given, $2 possible'],
  [/^Invalid values: Argument: (\S+), Given: (.*?), Choices: (.*)$/, '--$1 $2: it is one of $3'],
  [/^Did you mean (\S+)\?/, 'unknown command; did you mean $1?'],
];

/** yargs names options without dashes, and an option with a hyphen a second time in camel case. */
function unknownWords(names: readonly string[], words: readonly string[], options: readonly string[]): string {
  const given = names.flatMap((name) => words.find((word) => word === name || nameOf(word) === name) ?? []);
  const shown = given.length > 0 ? given : names.map(dashed);
  const texts = shown.map((word) => {
    if (!word.startsWith('-')) return words.some(isCommandName) ? `unexpected argument: ${word}` : unknownCommand(word);
    const [option = word] = word.split('=');
    const near = option.startsWith('--') ? suggestionFor(option.slice(2), options) : undefined;
    return `unknown option ${option}${near === undefined ? '' : `; did you mean ${dashed(near)}?`}`;
  });
  return [...new Set(texts)].join('; ');
}

function unknownCommand(word: string): string {
  const near = suggestionFor(word, [...commandNames, 'help', 'version']);
  return `unknown command ${word}${near === undefined ? '' : `; did you mean ${near}?`}`;
}

function nameOf(word: string): string | undefined {
  return /^--?([^=]+)/.exec(word)?.[1];
}

function dashed(name: string): string {
  return `${name.length === 1 ? '-' : '--'}${name}`;
}
