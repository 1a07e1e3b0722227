import type { Argv } from 'yargs';

/** All names of the options that may be given more than once. */
export const repeatableOptions: ReadonlySet<string> = new Set(['key-file', 'keyFile', 'k', 'options', 'o']);

/** Adds the options that every command has. */
export function withCommonOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('quiet', { alias: 'q', type: 'boolean', default: false, describe: 'No progress, no warnings' })
    .option('debug', { type: 'boolean', default: false, describe: 'With a failure, say where in the code it arose' });
}
