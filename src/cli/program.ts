import yargs, { type Argv } from 'yargs';
import { CkptfsError } from '../base/errors.ts';
import type { CommandContext, CommonOptions } from './command.ts';
import { commandNames, commandTexts, isCommandName } from './command-names.ts';
import { loadCommand } from './commands.ts';
import { repeatableOptions, withCommonOptions } from './options/common-options.ts';
import { generalOptions, longOptions, optionNames } from './options/option-names.ts';
import { packageVersion } from './version.ts';
import { usageError } from './words/usage-error.ts';

/** In columns. Longer lines of help text are hard to read, however wide the terminal is. */
const MAX_WIDTH = 100;

/**
 * Makes the parser of a command line. It loads only the commands that `words` name: for help and completion the names
 * and summaries of the others are enough.
 * @param words the command line without program and script
 * @param finished is called with the exit code of the command that ran
 */
export async function createProgram(
  words: readonly string[],
  finished: (code: number) => void,
  context: CommandContext = {},
): Promise<Argv<CommonOptions>> {
  const program: Argv<CommonOptions> = withCommonOptions(yargs([]))
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
    .version(packageVersion())
    .alias('version', 'V')
    .alias('help', 'h')
    .group(generalOptions, 'Options of every command:')
    .wrap(Math.min(MAX_WIDTH, process.stdout.columns ?? MAX_WIDTH))
    .strict()
    .recommendCommands()
    .demandCommand(1, 'no command is given')
    .middleware(refuseRepeated, true)
    .exitProcess(false)
    .showHelpOnFail(false)
    .fail((message, error) => {
      // yargs reports a wrong command line by a text, by an error of its own, or by both.
      const own = error instanceof Error && error.name !== 'YError';
      const given = words.includes('--') ? words.slice(0, words.indexOf('--')) : words;
      throw own ? error : usageError(message || String(error), given, longOptions(optionNames(program)));
    })
    .epilogue('Exit codes, files and examples: man ckptfs, docs/cli.md.');
  const wanted = new Set(words.filter(isCommandName));
  for (const name of commandNames) {
    const text = commandTexts[name];
    if (wanted.has(name)) (await loadCommand[name]()).register(program, text, context, finished);
    else program.command(text.usage, text.summary);
  }
  return (
    program
      .command('help [COMMAND]', 'Show the help of a command; as does COMMAND --help')
      .command('version', 'Show the version; as does --version')
      // Answers what shells ask. The script that asks is our own: see words/completion-script.ts.
      .completion('--completion-script', false)
  );
}

/** Refuses a repeated option. yargs would make a list of its values, which no command expects. */
function refuseRepeated(args: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(args)) {
    if (!Array.isArray(value) || name === '_' || name === '--' || repeatableOptions.has(name)) continue;
    throw new CkptfsError('bad-argument', `--${name} is given more than once`);
  }
}
