// Goal: a command does not ask for a passphrase in vain, or while it has anything locked.
// Method: the built CLI on a terminal of its own, where a person types and other commands run meanwhile.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { ckptfs } from './support/ckptfs.ts';
import { describeIf, systemTest, toolEnvironment } from './support/requirements.ts';

const base = mkdtempSync(join(tmpdir(), 'ckptfs-prompts-'));
const at = (name: string): string => join(base, name);
const program = join(import.meta.dirname, '../../bin/ckptfs');
const driver = join(import.meta.dirname, '../support/on-terminal.py');
const python = existsSync('/usr/bin/python3') ? '/usr/bin/python3' : 'python3';
const asking = ['--key', 'passphrase:'];
const made = ['-r', 'passphrase:'];

beforeAll(() => {
  mkdirSync(at('src'));
  writeFileSync(at('src/file'), 'contents');
  writeFileSync(at('passphrase'), 'hunter2\n', { mode: 0o600 });
  ckptfs('keygen', '-o', at('key'));
  ckptfs('encrypt', at('src'), at('enc'), '-k', at('key'), '--passphrase-file', at('passphrase'));
  mkdirSync(at('full'));
  writeFileSync(at('full/file'), '');
  mkdirSync(at('shared'));
  chmodSync(at('shared'), 0o777);
  execFileSync('openssl', ['genpkey', '-aes256', '-pass', 'pass:x', '-algorithm', 'ed25519', '-out', at('signer.pem')]);
});
afterAll(() => rmSync(base, { recursive: true }));

/** Runs the command on a terminal. A question that no step answers ends it by the hang-up of the terminal. */
function onTerminal(steps: readonly object[], ...words: readonly string[]): { shown: string; status: number } {
  const options = { encoding: 'utf8', env: { ...toolEnvironment, TERM: 'dumb' }, timeout: 60_000 } as const;
  return JSON.parse(execFileSync(python, [driver, JSON.stringify(steps), program, ...words], options));
}

const labelBy = (label: string) => ({ run: [program, 'key', 'label', at('enc'), '1', label, '-k', at('key')] });
const answeredAfter = (step: object): object[] => [{ expect: 'Passphrase: ' }, step, { type: 'hunter2\n' }];

describeIf([], 'a passphrase is not asked for', () => {
  const refused: readonly (readonly [string, () => readonly string[], string])[] = [
    ['to remove a slot that is not there', () => ['key', 'remove', at('enc'), '9', ...asking], '9 is no slot'],
    ['to replace one', () => ['key', 'replace', at('enc'), 'missing', ...made, ...asking], 'missing is no slot'],
    ['to label one', () => ['key', 'label', at('enc'), '9', 'x', ...asking], '9 is no slot'],
    [
      'to give a label that is too long',
      () => ['key', 'label', at('enc'), '1', 'x'.repeat(200), ...asking],
      'a label is',
    ],
    ['to encrypt into what is not empty', () => ['encrypt', at('src'), at('full'), ...asking], 'is not empty'],
    ['to encrypt into what others change', () => ['encrypt', at('src'), at('shared'), ...asking], 'others can write'],
    ['to encrypt below what is not there', () => ['encrypt', at('src'), at('no/enc'), ...asking], 'no such file'],
    ['to encrypt what is not there', () => ['encrypt', at('nothing'), at('new'), ...asking], 'no such file'],
    [
      'to sign what cannot be made',
      () => ['encrypt', at('src'), at('full'), '-k', at('key'), '--sign', at('signer.pem')],
      'is not empty',
    ],
    ['to decrypt into what is not empty', () => ['decrypt', at('enc'), at('full'), ...asking], 'is not empty'],
    [
      'to re-encrypt into what is not empty',
      () => ['reencrypt', at('enc'), at('full'), ...asking, '-r', `file:${at('key')}`],
      'is not empty',
    ],
    ['to mount where nothing is', () => ['mount', at('enc'), at('nowhere'), ...asking], 'does not exist'],
    ['to mount on a file', () => ['mount', at('enc'), at('key'), ...asking], 'is not a directory'],
    [
      'to make an image to write where others change it',
      () => ['mount', at('shared'), at('src'), '--write', ...asking],
      'others can write',
    ],
  ];
  for (const [what, words, problem] of refused) {
    systemTest([], what, () => {
      const { shown, status } = onTerminal([{ expect: problem }], ...words());
      expect(shown).not.toMatch(/passphrase( of .*)?: /i);
      expect(status).toBeGreaterThan(1);
    });
  }
});

describeIf([], 'while a passphrase is asked for', () => {
  const labels = (): (string | undefined)[] =>
    JSON.parse(ckptfs('key', 'list', at('enc'), '--json')).slots.map(({ label }: { label?: string }) => label);

  systemTest([], 'others change slots, and nothing that they did is lost', () => {
    onTerminal(answeredAfter(labelBy('changed')), 'key', 'label', at('enc'), '2', 'mine', ...asking);
    expect(labels()).toEqual(['changed', 'mine']);
  });

  systemTest([], 'the new one as well', () => {
    const twice = [
      { expect: 'New passphrase: ' },
      labelBy('again'),
      { type: 'new\n' },
      { expect: 'The same again: ' },
      { type: 'new\n' },
    ];
    const { status } = onTerminal(twice, 'key', 'add', at('enc'), '-k', at('key'), ...made, '--label', 'third');
    expect(status).toBe(0);
    expect(labels()).toEqual(['again', 'mine', 'third']);
  });

  systemTest([], 'a slot that is removed meanwhile is not mistaken for the one that has its number then', () => {
    const remove = { run: [program, 'key', 'remove', at('enc'), 'again', '-k', at('key')] };
    const words = ['key', 'label', at('enc'), '1', 'wrong', ...asking];
    const { shown, status } = onTerminal(answeredAfter(remove), ...words);
    expect(shown).toContain('1 is no slot of this image any more');
    expect(status).toBe(2);
    expect(labels()).toEqual(['mine', 'third']);
  });

  systemTest([], 'an image can be signed, and its slots changed before it is re-encrypted', () => {
    execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', at('open.pem')]);
    const label = { run: [program, 'key', 'label', at('enc'), '2', 'signed', '--passphrase-file', at('passphrase')] };
    const sign = ['sign', at('enc'), '--sign', at('open.pem'), ...asking];
    expect(onTerminal(answeredAfter(label), ...sign).status).toBe(0);
    expect(labels()).toEqual(['mine', 'signed']);
    label.run[5] = 'old';
    const again = ['reencrypt', at('enc'), ...asking, '-r', `file:${at('key')}`];
    expect(onTerminal(answeredAfter(label), ...again).status).toBe(0);
  });
});
