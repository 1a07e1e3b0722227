import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { errorCodes } from '../../src/base/errors.ts';
import { commandNames } from '../../src/cli/command-names.ts';
import { EXIT_EXEC_FAILED, EXIT_NOT_ALL_KEPT, exitCodes } from '../../src/cli/exit-codes.ts';
import { createProgram } from '../../src/cli/program.ts';

const guide = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
const manual = readFileSync(new URL('../../docs/ckptfs.1', import.meta.url), 'utf8').replaceAll('\\-', '-');

/** What `ckptfs NAME --help` prints. */
async function helpOf(...words: string[]): Promise<string> {
  const program = await createProgram(words, () => {});
  let help = '';
  await program.parseAsync([...words, '--help'], {}, (_error, _args, output) => {
    help = output;
  });
  return help;
}

/** Long options of a help text, and short ones with theirs. */
function optionsIn(help: string): string[] {
  const options = help.slice(help.indexOf('\nOptions')).split('Examples:')[0] ?? '';
  return [...options.matchAll(/^\s+((?:-\w, )?\s*--[a-z-]+)/gm)].map(([, option = '']) => option.trim());
}

describe.each([
  ['docs/cli.md', guide],
  ['docs/ckptfs.1', manual],
])('%s', (_, text) => {
  test.each(commandNames)('has the command %s', (name) => {
    expect(text).toMatch(new RegExp(`ckptfs ${name}\\b`));
  });

  test.each(commandNames)('has every option of %s', async (name) => {
    const options = optionsIn(await helpOf(name));
    expect(options.length).toBeGreaterThan(2);
    for (const option of options) {
      const [first = '', second] = option.split(', ').map((part) => part.trim());
      expect(text, `${name} ${option}`).toContain(second ?? first);
      if (second !== undefined) expect(text, `${name} ${option}`).toMatch(new RegExp(`${first}\\W`));
    }
  });

  test('has every exit code with its number', () => {
    for (const code of errorCodes) {
      const line = new RegExp(`^\\|? ?(\\d+) *\\| ?\`?${code}\\b`, 'm').exec(text);
      expect(Number(line?.[1]), code).toBe(exitCodes[code]);
    }
    expect(text).toContain(String(EXIT_EXEC_FAILED));
    expect(text).toMatch(new RegExp(`^\\|? ?${EXIT_NOT_ALL_KEPT} *\\|.*encrypt.*decrypt`, 'm'));
  });
});

test('exit codes are unique, and leave room for signals', () => {
  const numbers = Object.values(exitCodes);
  expect(new Set(numbers).size).toBe(numbers.length);
  expect(numbers.filter((number) => number < 1 || number === EXIT_EXEC_FAILED || number === EXIT_NOT_ALL_KEPT)).toEqual(
    [],
  );
  expect(Object.entries(exitCodes).filter(([code, number]) => number > 128 && code !== 'interrupted')).toEqual([]);
});

test('every help has examples, and the general help has every command', async () => {
  for (const name of commandNames) expect(await helpOf(name), name).toContain('Examples:');
  const help = await helpOf();
  for (const name of commandNames) expect(help).toContain(`ckptfs ${name}`);
});

const root = new URL('../../', import.meta.url);

test('the manual has a date, not before that of the newest version, and the version of the package', () => {
  const [, date = '', version = ''] = /^\.TH CKPTFS 1 "(\d{4}-\d\d-\d\d)" "ckptfs (\S+)"/m.exec(manual) ?? [];
  const dates = readFileSync(new URL('CHANGELOG.md', root), 'utf8').match(/^## .*\d{4}-\d\d-\d\d/gm) ?? [];
  for (const entry of dates) expect(entry.slice(-10) <= date, entry).toBe(true);
  expect(Number.isNaN(Date.parse(date))).toBe(false);
  expect(JSON.parse(readFileSync(new URL('package.json', root), 'utf8'))).toMatchObject({ version });
});

test('docs/library.md has every export of src/index.ts', () => {
  const exported = [...readFileSync(new URL('src/index.ts', root), 'utf8').matchAll(/^export (?:type )?\{([^}]*)\}/gm)];
  const names = exported.flatMap(([, list = '']) => list.split(',').map((name) => name.replace('type ', '').trim()));
  const page = readFileSync(new URL('docs/library.md', root), 'utf8');
  expect(names.length).toBeGreaterThan(50);
  for (const name of names.filter((each) => each !== '')) expect(page).toContain(`\`${name}\``);
});

const pages = [...readdirSync(root), ...readdirSync(new URL('docs', root)).map((name) => `docs/${name}`)];

/** The anchors of a page: its headings in lower case, hyphens for spaces, without punctuation. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => heading.toLowerCase());
  return new Set(headings.map((heading) => heading.replace(/[^\p{L}\p{N} _-]/gu, '').replaceAll(' ', '-')));
}

test.each(pages.filter((page) => page.endsWith('.md')))('%s has no link that leads nowhere', (page) => {
  for (const [, target = ''] of readFileSync(new URL(page, root), 'utf8').matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^https?:/.test(target)) continue;
    const found = new URL(target, new URL(page, root));
    expect(existsSync(new URL(found.pathname, root)), target).toBe(true);
    if (found.hash !== '')
      expect(anchorsOf(readFileSync(found.pathname, 'utf8')), target).toContain(found.hash.slice(1));
  }
});

test('sections that a page names by number are there', () => {
  const format = readFileSync(new URL('docs/format.md', root), 'utf8');
  const sections = new Set([...format.matchAll(/^## (\d+)\./gm)].map(([, number = '']) => number));
  for (const page of pages.filter((name) => name.endsWith('.md'))) {
    const text = readFileSync(new URL(page, root), 'utf8');
    for (const [, number = ''] of text.matchAll(/format\.md(?:`|\])? ?§(\d+)/g)) {
      expect(sections, `${page}: §${number}`).toContain(number);
    }
  }
});
