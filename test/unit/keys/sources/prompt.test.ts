import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Bundled, bundled } from '../../../support/bundled.ts';

const run = promisify(execFile);
const driver = join(import.meta.dirname, '..', '..', '..', 'support', 'on-terminal.py');
/** That of the system where it is: another that PATH leads to, such as that of pyenv, may take seconds to start. */
const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';

let program: Bundled;
beforeAll(async () => {
  program = await bundled(join(import.meta.dirname, 'prompt-child.ts'));
});
afterAll(() => program.remove());

type Step =
  | { readonly expect: string }
  | { readonly type: string }
  | { readonly kill: number }
  | { readonly stopped: true }
  | { readonly 'go on': true };

interface Outcome {
  readonly shown: string;
  readonly status: number;
  readonly notes: readonly boolean[];
  readonly echoes: boolean;
}

/** Runs the child on a terminal; every way that it ends must leave the terminal echoing. */
async function ask(purpose: 'open' | 'make', steps: readonly Step[]): Promise<Outcome> {
  const { stdout } = await run(python, [driver, JSON.stringify(steps), process.execPath, program.path, purpose]);
  const outcome: Outcome = JSON.parse(stdout);
  expect(outcome.echoes).toBe(true);
  return outcome;
}

const asked: Step = { expect: 'Passphrase: ' };
const hex = (text: string) => Buffer.from(text).toString('hex');

test('what is typed is not shown', async () => {
  const { shown, status, notes } = await ask('open', [asked, { type: 'hunter 2 é\n' }, { expect: 'got' }]);
  expect(shown).toBe(`Passphrase: \r\ngot ${hex('hunter 2 é')}\r\n`);
  expect([status, notes[0]]).toEqual([0, false]);
});

test('a line can be corrected while it is typed', async () => {
  const { shown } = await ask('open', [asked, { type: 'wrong\x15righx\x7ft\n' }]);
  expect(shown).toContain(`got ${hex('right')}`);
});

test('a new one is asked for twice', async () => {
  const steps: Step[] = [{ expect: 'New passphrase: ' }, { type: 'one\n' }, { expect: 'The same again: ' }];
  const same = await ask('make', [...steps, { type: 'one\n' }]);
  expect(same.shown).toBe(`New passphrase: \r\nThe same again: \r\ngot ${hex('one')}\r\n`);
  expect([same.notes[0], same.notes[2]]).toEqual([false, false]);
  const differing = await ask('make', [...steps, { type: 'two\n' }]);
  expect(differing.shown).toContain('bad-key-file {"reason":"mismatch"} the two passphrases differ');
  expect(differing.shown).not.toContain('two\r');
});

test.each([
  ['nothing', '\n', 'it is empty'],
  ['the end of the input', '\x04', 'it is empty'],
  ['more than 1024 bytes', `${'x'.repeat(2000)}\n`, 'it is longer'],
])('%s is refused', async (_what, typed, said) => {
  const { shown, status } = await ask('open', [asked, { type: typed }]);
  expect(shown).toContain('bad-key-file {"reason":"not-a-passphrase"}');
  expect(shown).toContain(said);
  expect(shown).not.toContain('xxx');
  expect(status).toBe(9);
});

test.each([
  ['Ctrl-C', { type: 'half\x03' }, 'interrupted {"signal":"SIGINT"} interrupted by SIGINT'],
  ['SIGTERM', { kill: constants.signals.SIGTERM }, 'interrupted {"signal":"SIGTERM"} interrupted by SIGTERM'],
  ['SIGHUP', { kill: constants.signals.SIGHUP }, 'interrupted {"signal":"SIGHUP"} interrupted by SIGHUP'],
])('%s ends it, and the terminal echoes again', async (_what, step, said) => {
  const { shown, status } = await ask('open', [asked, step]);
  expect(shown).toBe(`Passphrase: \r\n${said}\r\n`);
  expect(status).toBe(9);
});

test('while it is stopped the terminal echoes, and afterwards it asks again', async () => {
  const { shown, notes } = await ask('open', [
    asked,
    { type: 'half\x1a' },
    { stopped: true },
    { 'go on': true },
    asked,
    { type: 'whole\n' },
  ]);
  expect([notes[0], notes[2], notes[4]]).toEqual([false, true, false]);
  expect(shown).toContain(`got ${hex('whole')}`);
  expect(shown).not.toContain('half');
});

test('without a terminal it says what to do', () => {
  const { stdout } = spawnSync('setsid', ['--wait', process.execPath, program.path, 'open'], { encoding: 'utf8' });
  expect(stdout).toBe(
    'bad-key-file {"reason":"no-terminal"} a passphrase is needed, and there is no terminal to ask for it (ENXIO)\n',
  );
});
