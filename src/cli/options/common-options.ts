import type { Argv } from 'yargs';
import { repeatableKeyOptions, repeatableRecipientOptions } from './key-options.ts';
import { repeatableSignatureOptions } from './signature-options.ts';

/** All names of the options that may be given more than once. */
export const repeatableOptions: ReadonlySet<string> = new Set(
  ['options', 'o', ...repeatableKeyOptions, ...repeatableRecipientOptions, ...repeatableSignatureOptions].flatMap(
    (name) => [name, camelCase(name)],
  ),
);

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Adds the options that every command has. */
export function withCommonOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('quiet', { alias: 'q', type: 'boolean', default: false, describe: 'No progress, no warnings' })
    .option('debug', { type: 'boolean', default: false, describe: 'With a failure, say where in the code it arose' });
}
