import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { aftermathFacts, errorFacts } from '../../../src/base/error-data.ts';
import { CkptfsError, errorCodes, fromPlainError } from '../../../src/base/errors.ts';
import { CommandLineError } from '../../../src/cli/command-line-error.ts';
import { commandNames } from '../../../src/cli/command-names.ts';
import { hintFor, keyFileWarning } from '../../../src/cli/hints.ts';
import { longOptions, optionNames } from '../../../src/cli/options/option-names.ts';
import { createProgram } from '../../../src/cli/program.ts';

// Goal: users are told commands and options that exist, and programs that use the library are told none.
// Method: every error that can be made of the codes and their facts gets its hint, whose commands and options are held
// to the parser; and the texts of every other room are searched for commands and options.

type Facts = Readonly<Record<string, 'text' | 'flag' | readonly string[]>>;
type Values = Readonly<Record<string, string | boolean>>;

/** Every combination of the values that facts can have; a text has one. */
function combinations(facts: Facts): Values[] {
  let all: Values[] = [{}];
  for (const [name, type] of Object.entries(facts)) {
    const values = type === 'text' ? ['/some path'] : type === 'flag' ? [true, false] : type;
    const without = name.endsWith('?') ? all : [];
    const short = name.replace('?', '');
    all = without.concat(all.flatMap((one) => values.map((value) => ({ ...one, [short]: value }))));
  }
  return all;
}

const known: Readonly<Record<string, Facts>> = errorFacts;

const errors = errorCodes.flatMap((code) =>
  [undefined, ...combinations(known[code] ?? {})].flatMap((data) =>
    [undefined, ...combinations(aftermathFacts)].map((aftermath) =>
      fromPlainError({ code, message: 'x', path: '/p', data, aftermath }),
    ),
  ),
);

const hints = [
  ...new Set(errors.flatMap((error) => hintFor(error) ?? [])),
  ...[
    new CommandLineError('x', { kind: 'usage', command: undefined }),
    new CommandLineError('x', { kind: 'empty-value', isPath: true }),
    new CommandLineError('x', { kind: 'image-id' }),
    new CommandLineError('x', { kind: 'no-command-to-run' }),
  ].map((error) => hintFor(error) ?? ''),
];

async function optionsOf(command: string): Promise<string[]> {
  const program = await createProgram([command], () => {});
  // The options of a command are known to the parser once it has begun with it.
  let names: string[] = [];
  await program.parseAsync([command, '--help'], {}, () => {
    names = longOptions(optionNames(program));
  });
  return names.map((name) => `--${name}`);
}

const options = new Map(await Promise.all(commandNames.map(async (name) => [name, await optionsOf(name)] as const)));
const allOptions = new Set([...options.values()].flat());

/**
 * The commands that a text names, with the options that follow in the same quotes, or up to the end of the sentence.
 */
function commandsIn(text: string): { command: string; given: string[] }[] {
  return [...text.matchAll(/\bckptfs ([a-z]+)([^"`.;,)]*)/g)].map(([, command = '', rest = '']) => ({
    command,
    given: rest.match(/(?<![\w-])--[a-z-]+/g) ?? [],
  }));
}

function optionsIn(text: string): string[] {
  return text.match(/(?<![\w-])--[a-z][a-z-]+/g) ?? [];
}

test('there is a hint for most codes, and a sentence each', () => {
  expect(hints.length).toBeGreaterThan(40);
  for (const hint of hints) expect(hint).toMatch(/^["A-Z].*[.?]$|^chmod /);
});

test.each(hints)('names commands and options that exist: %s', (hint) => {
  for (const { command, given } of commandsIn(hint)) {
    // Verbs may follow the name of the program too.
    expect([...commandNames, 'may'], hint).toContain(command);
    for (const option of given) expect(options.get(command as never), `${command} ${option}`).toContain(option);
  }
  for (const option of optionsIn(hint)) expect([...allOptions, '--help'], hint).toContain(option);
});

test('the command of a usage hint is the one that was used', () => {
  const error = new CommandLineError('x', { kind: 'usage', command: 'ls' });
  expect(hintFor(error)).toBe('See "ckptfs ls --help".');
});

test('a path in a command to be copied is one word, whatever is in it', () => {
  const image = "/tmp/x'; rm -rf ~ #";
  const error = fromPlainError({ code: 'damaged', message: 'x', aftermath: { state: 'unsealed', image } });
  const quoted = `'/tmp/x'\\''; rm -rf ~ #'`;
  expect(hintFor(error)).toBe(
    `When that is mended, run "ckptfs seal ${quoted}", or "ckptfs recover ${quoted}" if it refuses.`,
  );
});

describe('what is left unsealed', () => {
  const aftermath = { state: 'unsealed', image: '/enc' } as const;
  const full = (errno: string) => new CkptfsError('io', 'x', { data: { errno }, aftermath });

  test.each([
    [full('ENOSPC'), 'Make room there, then run "ckptfs seal /enc".'],
    [full('EDQUOT'), 'Make room there, then run "ckptfs seal /enc".'],
    [full('EFBIG'), 'Raise that limit, then run "ckptfs seal /enc".'],
    [full('EIO'), 'When that is mended, run "ckptfs seal /enc", or "ckptfs recover /enc" if it refuses.'],
    [
      new CkptfsError('internal', 'x', { aftermath }),
      'Run "ckptfs seal /enc", or "ckptfs recover /enc" if it refuses.',
    ],
    [
      new CkptfsError('io', 'x', { data: { errno: 'ENOSPC' }, aftermath: { ...aftermath, lossy: true } }),
      'Run "ckptfs recover", which makes the rest usable.',
    ],
  ])('is sealed, or what is lost given up: %#', (error, hint) => {
    expect(hintFor(error)).toBe(hint);
  });
});

test('a failed mount says that what is written now is not encrypted, after what can be done', () => {
  const aftermath = { state: 'not-mounted', mountPoint: 'mnt' } as const;
  const bare = 'Nothing is mounted on mnt: what is written there is not encrypted.';
  expect(hintFor(new CkptfsError('mount-failed', 'x', { aftermath }))).toBe(bare);
  const data = { feature: 'fuse-device' } as const;
  const known = hintFor(new CkptfsError('missing-feature', 'x', { data }));
  expect(hintFor(new CkptfsError('missing-feature', 'x', { data, aftermath }))).toBe(`${known} ${bare}`);
});

test('an image that is sealed and not mounted again is mounted by hand', () => {
  const aftermath = { state: 'sealed-not-mounted', image: '/enc', mountPoint: '/mnt/a b' } as const;
  expect(hintFor(new CkptfsError('mount-failed', 'x', { aftermath }))).toBe(
    `Mount it by "ckptfs mount /enc '/mnt/a b'".`,
  );
});

describe('texts of the library', () => {
  const source = new URL('../../../src/', import.meta.url);
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !name.startsWith('cli/'),
  );

  /** The texts of a file that are sentences: of several words, so not an argument of a program. */
  function sentencesIn(name: string): string[] {
    const code = readFileSync(new URL(name, source), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
    const texts = code.match(/'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`/g) ?? [];
    return texts.filter((text) => text.includes(' '));
  }

  test.each(files)('%s names no command and no option', (name) => {
    const commands = new RegExp(`\\bckptfs (?:${commandNames.join('|')})\\b`);
    for (const text of sentencesIn(name)) {
      expect(text).not.toMatch(commands);
      expect(optionsIn(text).filter((option) => allOptions.has(option))).toEqual([]);
    }
  });
});

test('a warning about a key file says how to protect it, where a mode can', () => {
  const about = { message: 'key file k is open', path: 'my key' };
  expect(keyFileWarning({ ...about, reason: 'mode' })).toBe("key file k is open: chmod 600 'my key'");
  expect(keyFileWarning({ ...about, reason: 'other-owner' })).toBe('key file k is open');
});
