/**
 * All options that a parser knows at that point, by every name, and its positional arguments. yargs gives them to whoever asks, but its types
 * do not tell.
 */
export function optionNames(parser: object): string[] {
  const get: unknown = Reflect.get(parser, 'getOptions');
  const options: unknown = typeof get === 'function' ? Reflect.apply(get, parser, []) : undefined;
  const keys: unknown = typeof options === 'object' && options !== null ? Reflect.get(options, 'key') : undefined;
  return typeof keys === 'object' && keys !== null ? Object.keys(keys) : [];
}

/** Options of every command, in the order of the help text. */
export const generalOptions: readonly string[] = ['quiet', 'debug', 'version', 'help'];

/** Long names of options, without positional arguments, which are in capitals. */
export function longOptions(names: readonly string[]): string[] {
  return names.filter((name) => /^[a-z][a-z-]+$/.test(name));
}
