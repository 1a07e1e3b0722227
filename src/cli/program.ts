import { readFileSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import { CkptfsError } from '../base/errors.ts';
import type { CommonOptions } from './command.ts';
import { type CommandName, commandNames, commands, isCommandName } from './commands.ts';

/** Columns of help text: lines longer than this are hard to read, whatever the terminal's width. */
const MAX_WIDTH = 100;

/**
 * The parser of a command line. Of the commands only those that `words` name are loaded: the others are known by name and
 * summary, which is all that help and completion need of them.
 * @param words the command line without program and script
 * @param finished is told the exit code of the command that ran
 */
export async function createProgram(
  words: readonly string[],
  finished: (code: number) => void,
): Promise<Argv<CommonOptions>> {
  const program: Argv<CommonOptions> = yargs([])
    .scriptName('ckptfs')
    .usage('$0 COMMAND [OPTIONS]\n\nEncrypted process checkpoints, mounted.')
    .detectLocale(false)
    .parserConfiguration({
      'populate--': true,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'dot-notation': false,
      'boolean-negation': false,
      'greedy-arrays': false,
    })
    .option('quiet', { alias: 'q', type: 'boolean', default: false, describe: 'No progress, no warnings' })
    .option('debug', { type: 'boolean', default: false, describe: 'With a failure, say where in the code it arose' })
    .version(packageVersion())
    .alias('version', 'V')
    .alias('help', 'h')
    .wrap(Math.min(MAX_WIDTH, process.stdout.columns ?? MAX_WIDTH))
    .strict()
    .recommendCommands()
    .demandCommand(1, 'no command is given')
    .middleware((args) => refuseRepeated(args, repeatable), true)
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message, error) => {
      // yargs says what is wrong with the command line by a text, by an error of its own, or by both.
      const own = error instanceof Error && error.name !== 'YError';
      throw own ? error : usageError(message || String(error), words);
    })
    .epilogue('Exit codes, files and examples: man ckptfs, docs/cli.md.');
  const wanted = new Set(words.filter(isCommandName));
  for (const name of commandNames) {
    const { usage, summary, load } = commands[name];
    if (wanted.has(name)) (await load()).register(program, usage, summary, finished);
    else program.command(usage, summary);
  }
  return program.completion('completion', 'Print a script for command completion in bash or zsh');
}

/** Whether a shell asks how a command line may go on. */
export function isCompletion(words: readonly string[]): boolean {
  return words[0] === '--get-yargs-completions';
}

/**
 * A command line on which `--` does what users expect: what stands behind it is no option. yargs keeps it from positional
 * arguments altogether; all of ours but those of `exec` are paths, which mean the same with `./` in front.
 */
export function withoutDoubleDash(words: readonly string[]): string[] {
  const at = words.indexOf('--');
  if (at < 0 || isCompletion(words) || words.find(isCommandName) === 'exec') return [...words];
  return [...words.slice(0, at), ...words.slice(at + 1).map((word) => (word.startsWith('-') ? `./${word}` : word))];
}

/** Options that may be given more than once, by all their names. */
const repeatable = new Set(['key-file', 'keyFile', 'k', 'options', 'o']);

/** yargs makes a list of a repeated option, which no command expects: better to say so than to take one of them. */
function refuseRepeated(args: Record<string, unknown>, allowed: ReadonlySet<string>): void {
  for (const [name, value] of Object.entries(args)) {
    if (!Array.isArray(value) || name === '_' || name === '--' || allowed.has(name)) continue;
    throw new CkptfsError('bad-argument', `--${name} is given more than once`);
  }
}

function usageError(message: string, words: readonly string[]): CkptfsError {
  const command: CommandName | undefined = words.find(isCommandName);
  const help = command === undefined ? 'ckptfs --help' : `ckptfs ${command} --help`;
  let text = message
    .replace(/^YError: /, '')
    .trim()
    .replace(/\s*\n\s*/g, ' ');
  for (const [pattern, plain] of rewording) text = text.replace(pattern, plain);
  return new CkptfsError('bad-argument', text, { advice: `See "${help}".` });
}

/** What yargs says, in words that tell a user more. */
const rewording: readonly (readonly [RegExp, string])[] = [
  [/^Not enough non-option arguments: got (\d+), need at least (\d+)/, 'an argument is missing: $1 given, $2 needed'],
  [/^Not enough arguments following: (\S+)/, 'the option --$1 needs a value'],
  [/^Too many non-option arguments: got (\d+), maximum of (\d+)/, 'too many arguments: $1 given, $2 possible'],
  [/^Invalid values: Argument: (\S+), Given: "?(.*?)"?, Choices: (.*)$/, '--$1 $2: it is one of $3'],
  [/^Unknown arguments?: /, 'unknown option or argument: '],
  [/^Unknown commands?: /, 'unknown command: '],
  [/^Did you mean (\S+)\?/, 'unknown command; did you mean $1?'],
];

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
