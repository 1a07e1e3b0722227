import type { ArgumentsCamelCase, Argv, Options } from 'yargs';
import type { CommonOptions } from '../command.ts';
import { repeatableOptions, withCommonOptions } from './common-options.ts';

/** Characters that yargs takes away from values in some places. */
const QUOTES = /['"]/;

/**
 * Reads the command line of one command as yargs does, without yargs, which takes longer to load than anything else of
 * a mount. It knows the options by the very function that defines them for yargs, and understands plain forms alone.
 * @param usage of the command, with its positional arguments: `mount <ENC> <MNT>`
 * @param words what follows the name of the command
 * @returns what yargs would pass to the command; undefined for a command line that is wrong, or that is not plain
 */
export function parsePlainly<T>(
  usage: string,
  words: readonly string[],
  define: (yargs: Argv<CommonOptions>) => Argv<T>,
): ArgumentsCamelCase<T> | undefined {
  const defined = new Definitions();
  // What defines the options calls these two methods of yargs only; a test holds it to that.
  const recorder: unknown = defined;
  define(withCommonOptions(recorder as Argv));
  const positionals = [...usage.matchAll(/<([A-Z]+)>/g)].map(([, name]) => name ?? '');
  const given = readWords(words, defined);
  if (given === undefined || given.positionals.length !== positionals.length) return undefined;
  const args: Record<string, unknown> = { _: [], $0: 'ckptfs' };
  for (const [name, definition] of defined.options) {
    const value = optionValue(definition, given.values.get(name) ?? []);
    if (value === NOT_PLAIN) return undefined;
    for (const key of [name, camelCase(name), ...aliases(definition)]) args[key] = value;
  }
  for (const [at, name] of positionals.entries()) args[name] = given.positionals[at];
  return args as ArgumentsCamelCase<T>;
}

const NOT_PLAIN = Symbol('not plain');

/** Records how options are defined. */
class Definitions {
  readonly options = new Map<string, Options>();

  option(name: string, definition: Options): this {
    this.options.set(name, definition);
    return this;
  }

  /** Positional arguments are in the usage of a command as well. */
  positional(): this {
    return this;
  }

  /** Returns the name of the option that a word names. */
  nameOf(word: string): string | undefined {
    const name = word.replace(/^--?/, '');
    if (word.startsWith('--')) return this.options.has(name) ? name : undefined;
    return [...this.options].find(([, definition]) => aliases(definition).includes(name))?.[0];
  }
}

interface Given {
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];
}

function readWords(words: readonly string[], defined: Definitions): Given | undefined {
  const values = new Map<string, string[]>();
  const positionals: string[] = [];
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? '';
    if (word === '' || QUOTES.test(word)) return undefined;
    if (!word.startsWith('-')) {
      positionals.push(word);
      continue;
    }
    const equals = word.startsWith('--') ? word.indexOf('=') : -1;
    const name = defined.nameOf(equals < 0 ? word : word.slice(0, equals));
    if (name === undefined) return undefined;
    const isFlag = defined.options.get(name)?.type === 'boolean';
    const next = words[at + 1] ?? '';
    // yargs takes these two words for the value of the flag before them.
    if (isFlag && (equals >= 0 || next === 'true' || next === 'false')) return undefined;
    const value = isFlag ? word : equals >= 0 ? word.slice(equals + 1) : next;
    if (!isFlag && (value === '' || value.startsWith('-') || QUOTES.test(value))) return undefined;
    if (!isFlag && equals < 0) at++;
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  for (const [name, given] of values) if (given.length > 1 && !repeatableOptions.has(name)) return undefined;
  return { values, positionals };
}

/** Returns the value that an option gets, {@link NOT_PLAIN} when it cannot have it. */
function optionValue(definition: Options, given: readonly string[]): unknown {
  const [value] = given;
  if (definition.type === 'boolean') return value !== undefined || definition.default;
  if (value === undefined) return definition.default;
  if (definition.array === true) return [...given];
  if (definition.choices !== undefined && !definition.choices.includes(value)) return NOT_PLAIN;
  try {
    return definition.coerce === undefined ? value : definition.coerce(value);
  } catch {
    return NOT_PLAIN;
  }
}

function aliases({ alias }: Options): readonly string[] {
  return typeof alias === 'string' ? [alias] : (alias ?? []);
}

function camelCase(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
