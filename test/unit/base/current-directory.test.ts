import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

const base = mkdtempSync(join(tmpdir(), 'ckptfs-current-'));
afterAll(() => rmSync(base, { recursive: true }));

const module = JSON.stringify(new URL('../../../src/base/current-directory.ts', import.meta.url).href);

/** Enters the directory again, in a process of its own: that of the tests has a directory that others rely on. */
const PROGRAM = `
  import { mkdirSync, renameSync } from 'node:fs';
  import { absolutePath, currentDirectoryMark, enterDirectory } from ${module};
  const directory = process.cwd();
  const mark = currentDirectoryMark();
  const refused = () => {
    try {
      return absolutePath('k');
    } catch (error) {
      return error.code;
    }
  };
  process.chdir('/');
  enterDirectory(directory, mark);
  const found = [absolutePath('k')];
  renameSync(directory, directory + '.old');
  mkdirSync(directory);
  enterDirectory(directory, mark);
  found.push(process.cwd(), refused(), absolutePath('/k'));
  process.stdout.write(JSON.stringify(found));
`;

test('a directory is entered again if it is the same, and relative paths lead to no other', () => {
  const directory = join(base, 'work');
  mkdirSync(directory);
  const words = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', PROGRAM];
  const printed = execFileSync(process.execPath, words, { cwd: directory, encoding: 'utf8' });
  expect(JSON.parse(printed)).toEqual([join(directory, 'k'), '/', 'bad-argument', '/k']);
});
