/**
 * Returns all names of the options and positional arguments that a parser knows at that point. yargs has a method for
 * this that its types lack.
 */
export function optionNames(parser: object): string[] {
  const get: unknown = Reflect.get(parser, 'getOptions');
  const options: unknown = typeof get === 'function' ? Reflect.apply(get, parser, []) : undefined;
  const keys: unknown = typeof options === 'object' && options !== null ? Reflect.get(options, 'key') : undefined;
  return typeof keys === 'object' && keys !== null ? Object.keys(keys) : [];
}

/** Options of every command, in the order of the help text. */
export const generalOptions: readonly string[] = ['quiet', 'debug', 'version', 'help'];

/** Returns the long names of options; names of positional arguments are in capitals, and left out. */
export function longOptions(names: readonly string[]): string[] {
  return names.filter((name) => /^[a-z][a-z-]+$/.test(name));
}
