import type { ArgumentsCamelCase, Argv } from 'yargs';
import { CkptfsError } from '../base/errors.ts';

/** Options that every command has. */
export interface CommonOptions {
  readonly quiet: boolean;
  readonly debug: boolean;
}

/** One command: which arguments it takes and what it does with them. */
interface CommandDefinition<T> {
  /** Command lines with what each does, for --help. */
  readonly examples: readonly (readonly [command: string, does: string])[];
  readonly options: (yargs: Argv<CommonOptions>) => Argv<T>;
  /** Does the work and prints. Returns the exit code; nothing means 0. */
  readonly run: (args: ArgumentsCamelCase<T>) => Promise<number | undefined> | Promise<void>;
}

/** A command as the program takes it in, whatever its arguments are. */
export interface Command {
  /**
   * Adds the command to a parser.
   * @param usage name and positional arguments as yargs writes them: `ls <ENC> [PATH]`
   * @param finished is told the exit code when the command has run
   */
  readonly register: (
    yargs: Argv<CommonOptions>,
    usage: string,
    summary: string,
    finished: (code: number) => void,
  ) => void;
}

export function defineCommand<T>(definition: CommandDefinition<T>): Command {
  const { examples, options, run } = definition;
  return {
    register(yargs, usage, summary, finished) {
      yargs.command<T>(
        usage,
        summary,
        (parser) => {
          const own = options(parser as Argv<CommonOptions>);
          for (const [command, does] of examples) own.example(command, does);
          return own;
        },
        async (args) => {
          refuseEmptyPaths(usage, args);
          finished((await run(args)) ?? 0);
        },
      );
    },
  };
}

/** Positional arguments are paths, and an empty one would be taken for the current directory. */
function refuseEmptyPaths(usage: string, args: Readonly<Record<string, unknown>>): void {
  for (const [, name = ''] of usage.matchAll(/[<[](\w+)[>\]]/g)) {
    if (args[name] !== '') continue;
    throw new CkptfsError('bad-argument', `the argument ${name} is empty`, {
      advice: 'Is a variable of the shell not set? The current directory is "."',
    });
  }
}
