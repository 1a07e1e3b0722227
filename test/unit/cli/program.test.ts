import { expect, test } from 'vitest';
import { CkptfsError } from '../../../src/base/errors.ts';
import { hintFor } from '../../../src/cli/hints.ts';
import { createProgram } from '../../../src/cli/program.ts';
import { suggestionFor } from '../../../src/cli/words/suggestion.ts';
import { understandable } from '../../../src/cli/words/words.ts';

async function failureOf(...words: string[]): Promise<CkptfsError> {
  const program = await createProgram(words, () => {});
  const parse = async (): Promise<unknown> => program.parseAsync(words);
  const error = await parse().catch((reason: unknown) => reason);
  if (error instanceof CkptfsError) return error;
  throw new Error(`${words.join(' ')} gave ${String(error)}`);
}

test.each([
  [[], /^no command is given$/, 'ckptfs --help'],
  [['frobnicate'], /^unknown command frobnicate$/, 'ckptfs --help'],
  [['mout', 'a', 'b'], /did you mean mount\?$/, 'ckptfs --help'],
  [['mount', 'enc'], /^an argument is missing: 1 given, 2 needed$/, 'ckptfs mount --help'],
  [['umount', 'a', 'b'], /^unexpected argument: b$/, 'ckptfs umount --help'],
  [['verify', 'enc', '--frob'], /^unknown option --frob$/, 'ckptfs verify --help'],
  [['verify', 'enc', '--frob=1', '-x'], /^unknown option --frob; unknown option -x$/, 'ckptfs verify --help'],
  [['mount', 'a', 'b', '--wirte'], /^unknown option --wirte; did you mean --write\?$/, 'ckptfs mount --help'],
  [['mount', 'a', 'b', '--key-fil', 'x'], /^unknown option --key-fil; did you mean --key-file\?$/, 'mount --help'],
  [['info', 'enc', '-k'], /^the option -k needs a value$/, 'ckptfs info --help'],
  [['info', 'enc', '--key-file'], /^the option --key-file needs a value$/, 'ckptfs info --help'],
  [['encrypt', 'a', 'b', '--cipher', 'aes-192-xts'], /XTS is not defined for AES-192/, 'ckptfs encrypt --help'],
  [['encrypt', 'a', 'b', '--cipher', 'rot13'], /this cipher is not known/, 'ckptfs encrypt --help'],
  [['encrypt', 'a', 'b', '--chunk-size', '5000'], /power of two/, 'ckptfs encrypt --help'],
  [['encrypt', 'a', 'b', '--jobs', '1e3'], /1 to 256/, 'ckptfs encrypt --help'],
  [['keygen', '--bits', '512'], /^--bits 512: it is one of 128, 192, 256$/, 'ckptfs keygen --help'],
  [
    ['mount', 'a', 'b', '--transport', 'tcp'],
    /^--transport tcp: it is one of auto, kernel, io-uring, fuse-native$/,
    'ckptfs mount --help',
  ],
  [['ls', 'a', '--json', '-0'], /exclude each other/, 'ckptfs ls --help'],
])('%j is refused with a reason and the help to read', async (words, reason, help) => {
  const failure = await failureOf(...words);
  expect(failure.code).toBe('bad-argument');
  expect(failure.message).toMatch(reason);
  expect(hintFor(failure)).toContain(help);
});

test('an option that takes one value is refused when it is given twice', async () => {
  const { code, message } = await failureOf('encrypt', 'a', 'b', '--cipher', 'none', '--cipher', 'none');
  expect([code, message]).toEqual(['bad-argument', '--cipher is given more than once']);
});

test.each([
  ['SRC', ['encrypt', '', 'dst']],
  ['DST', ['encrypt', 'src', '']],
  ['ENC', ['mount', '', 'mnt']],
  ['MNT', ['mount', 'enc', '']],
  ['MNT', ['umount', '']],
  ['ENC', ['exec', '']],
  ['ENC', ['info', '']],
  ['PATH', ['ls', 'enc', '']],
  ['FILE', ['cat', 'enc', '']],
  ['ENC', ['verify', '']],
  ['DST', ['decrypt', 'enc', '']],
])('an empty %s is not the current directory: %j', async (name, words) => {
  const { code, message } = await failureOf(...words);
  expect([code, message]).toEqual(['bad-argument', `the argument ${name} is empty`]);
});

test.each([
  ['key-file', ['info', 'enc', '-k', '']],
  ['key-file', ['info', 'enc', '-k', 'k', '--key-file=', '']],
  ['image-id', ['ls', 'enc', '--image-id', '']],
  ['output', ['keygen', '-o', '']],
  ['log-file', ['mount', 'enc', 'mnt', '--log-file', '']],
])('an empty value of --%s is refused: %j', async (_name, words) => {
  const { code } = await failureOf(...words);
  expect(code).toBe('bad-argument');
});

test('after -- nothing is an option, but the command of exec stays unchanged', () => {
  expect(understandable(['ls', '-k', 'k', '--', '-enc', 'p'])).toEqual(['ls', '-k', 'k', './-enc', 'p']);
  expect(understandable(['exec', 'e', '--', 'ls', '-l'])).toEqual(['exec', 'e', '--', 'ls', '-l']);
  expect(understandable(['--get-yargs-completions', 'ckptfs', 'ls', '--'])).toContain('--');
});

test('help and version are commands as well, and - is standard input or output', () => {
  expect(understandable(['help'])).toEqual(['--help']);
  expect(understandable(['help', 'mount'])).toEqual(['mount', '--help']);
  expect(understandable(['version'])).toEqual(['--version']);
  expect(understandable(['info', '-k', '-', 'enc'])).toEqual(['info', '--key-file=-', 'enc']);
  expect(understandable(['encrypt', '-', 'enc', '-k', '-'])).toEqual(['encrypt', '/dev/stdin', 'enc', '--key-file=-']);
  expect(understandable(['export', 'enc', '-o', '-'])).toEqual(['export', 'enc', '--output=-']);
  expect(understandable(['mount', 'enc', '-o', '-'])).toEqual(['mount', 'enc', '-o', '-']);
  expect(understandable(['exec', 'e', '--', 'x', '-k', '-'])).toEqual(['exec', 'e', '--', 'x', '-k', '-']);
  expect(() => understandable(['help', 'mont'])).toThrow('unknown command mont; did you mean mount?');
});

test('a suggestion is a similar word, or one that begins with what was given', () => {
  const known = ['write', 'workers', 'allow-other', 'allow-root'];
  expect(['wirte', 'writes', 'worker', 'allow', 'x', 'zzzzzz'].map((word) => suggestionFor(word, known))).toEqual([
    'write',
    'write',
    'workers',
    'allow-other',
    undefined,
    undefined,
  ]);
});
