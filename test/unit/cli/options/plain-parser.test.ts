// Goal: what the parser without yargs understands, it understands as yargs does.
// Method: random command lines of words that mean something; both parsers read them by the same definitions.
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { defineCommand } from '../../../../src/cli/command.ts';
import { commandNames, commandTexts } from '../../../../src/cli/command-names.ts';
import { withMountArguments } from '../../../../src/cli/options/mount-arguments.ts';
import { parsePlainly } from '../../../../src/cli/options/plain-parser.ts';
import { createProgram } from '../../../../src/cli/program.ts';
import { understandable } from '../../../../src/cli/words/words.ts';

const seen: unknown[] = [];

vi.mock('../../../../src/cli/commands.ts', () => ({
  // A word may be the name of another command.
  loadCommand: Object.fromEntries(
    commandNames.map((name) => [
      name,
      async () =>
        defineCommand({
          examples: [],
          options: withMountArguments,
          run: async (args) => {
            seen.push(args);
          },
        }),
    ]),
  ),
}));

const plain = (words: readonly string[]): Record<string, unknown> | undefined =>
  parsePlainly(commandTexts.mount.usage, words, withMountArguments);

/** What yargs gives to the command; undefined when it refuses the line, or does something else. */
async function byYargs(words: readonly string[]): Promise<Record<string, unknown> | undefined> {
  seen.length = 0;
  try {
    const understood = understandable(['mount', ...words]);
    await (await createProgram(understood, () => undefined)).parseAsync(understood);
  } catch {
    return undefined;
  }
  return seen[0] as Record<string, unknown> | undefined;
}

async function expectTwins(words: readonly string[], mine: Record<string, unknown>): Promise<void> {
  const theirs = await byYargs(words);
  expect({ words, theirs: theirs !== undefined }).toEqual({ words, theirs: true });
  for (const [name, value] of Object.entries(theirs ?? {})) {
    // What yargs knows of itself: positional words and their names in its own spelling, program, help and version.
    if (!['_', '--', '$0', 'E-n-c', 'M-n-t', 'help', 'h', 'version', 'V'].includes(name))
      expect({ [name]: mine[name] }).toEqual({ [name]: value });
  }
}

test.each([
  [['enc', 'mnt']],
  [['enc', 'mnt', '-k', 'key', '--json']],
  [['-q', 'enc', '-k', 'a', '-k', 'b', 'mnt', '--key-file=c', '--key-file', 'd e\nf']],
  [['--allow-other', 'enc', 'mnt', '-o', 'ro,key_file=k', '-o', 'noexec', '--options=x-y']],
  [['enc', '--workers', '3', '--cache-size=64M', '--root-mode', '0755', 'mnt', '--log-file', 'log=1']],
  [['enc', 'mnt', '--image-id', 'ABCDEF0123456789abcdef0123456789', '--page-files', 'direct']],
  [['1', '007', '--log-file', '1e3']],
])('%j is plain', async (words) => {
  const mine = plain(words);
  expect(mine).toBeDefined();
  await expectTwins(words, mine ?? {});
});

test.each([
  [[]],
  [['enc']],
  [['enc', 'mnt', 'more']],
  [['enc', 'mnt', '-k']],
  [['enc', 'mnt', '-k', '-']],
  [['enc', 'mnt', '-kkey']],
  [['enc', 'mnt', '-k=key']],
  [['enc', 'mnt', '-qf']],
  [['enc', '', '-k', 'key']],
  [['enc', 'mnt', '--log-file=']],
  [['enc', 'mnt', '--help']],
  [['enc', 'mnt', '--version']],
  [['enc', 'mnt', '--json', 'true']],
  [['enc', 'mnt', '--json=true']],
  [['enc', 'mnt', '--no-json']],
  [['--', 'enc', 'mnt']],
  [['enc', 'mnt', '--keyFile', 'key']],
  [['enc', 'mnt', '--k', 'key']],
  [['enc', 'mnt', '--key-file="key"']],
  [['enc', 'mnt', '--log-file', 'a', '--log-file', 'b']],
  [['enc', 'mnt', '--workers', '0']],
  [['enc', 'mnt', '--transport', 'tcp']],
  [['enc', 'mnt', '--image-id', 'x']],
])('%j is left to yargs', (words) => {
  expect(plain(words)).toBeUndefined();
});

test('every line that is understood means the same to yargs', async () => {
  const word = fc.constantFrom(
    ...[
      'enc',
      'mnt',
      'a b',
      '-',
      '--',
      '-k',
      '-q',
      '-o',
      '-f',
      '-w',
      '-kq',
      'true',
      'false',
      '1',
      '-1',
      'é',
      '\\',
      'a=b',
    ],
    ...[
      '--json',
      '--quiet',
      '--debug',
      '--key-file',
      '--key-file=k',
      '--workers',
      '--workers=2',
      '--cache-size',
      '64M',
    ],
    ...[
      '--root-mode',
      '0755',
      '--key-ttl',
      '8h',
      '--allow-other',
      '--allow-root',
      '--scratch',
      '--write',
      '--foreground',
      '--log-file',
    ],
    ...['--image-id', '00112233445566778899aabbccddeeff', '--transport', 'kernel', '--options=ro', '--cipher', "'x'"],
    ...[
      'aes-256-xts',
      '--chunk-size',
      '4K',
      '--log-file=-x',
      '--nothing',
      '--help',
      '--keyFile',
      '--page-files',
      'auto',
    ],
  );
  const line = fc.array(word, { minLength: 1, maxLength: 7 }).map((words) => ['enc', 'mnt', ...words].slice(0, 8));
  let understood = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(line, fc.shuffledSubarray(['enc', 'mnt', '-q', '--json', '-k', 'key'])),
      async (words) => {
        const mine = plain(words);
        if (mine === undefined) return;
        understood++;
        await expectTwins(words, mine);
      },
    ),
    { numRuns: 400 },
  );
  expect(understood).toBeGreaterThan(20);
});
