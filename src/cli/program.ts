import { readFileSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import { CkptfsError } from '../base/errors.ts';
import type { CommonOptions } from './command.ts';
import { commandNames, commands, isCommandName } from './commands.ts';
import { generalOptions, longOptions, optionNames } from './options/option-names.ts';
import { usageError } from './words/usage-error.ts';

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
    .group(generalOptions, 'Options of every command:')
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
      const given = words.includes('--') ? words.slice(0, words.indexOf('--')) : words;
      throw own ? error : usageError(message || String(error), given, longOptions(optionNames(program)));
    })
    .epilogue('Exit codes, files and examples: man ckptfs, docs/cli.md.');
  const wanted = new Set(words.filter(isCommandName));
  for (const name of commandNames) {
    const { usage, summary, load } = commands[name];
    if (wanted.has(name)) (await load()).register(program, usage, summary, finished);
    else program.command(usage, summary);
  }
  return (
    program
      .command('help [COMMAND]', 'Show the help of a command; as does COMMAND --help')
      .command('version', 'Show the version; as does --version')
      // What shells ask; the script by which they do is ours.
      .completion('--completion-script', false)
  );
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

function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}
