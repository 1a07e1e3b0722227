// Holds test/unit against src: each unit test has the folder and the name of the file that it tests, so that a reader
// of a file finds its tests. What goes through several houses is at the top of test/unit.
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

const root = path.join(import.meta.dirname, '..');
const units = path.join(root, 'test', 'unit');

/** Returns the folder whose files are tested by the tests in `folder` below test/unit. */
function testedFolder(folder: string): string {
  return path.join(root, folder === 'scripts' || folder.startsWith('scripts/') ? '.' : 'src', folder);
}

/** Returns whether `test` is or begins with the name of a file in `folder`: `connection-names` of `connection.ts`. */
function isNamedAfterOne(test: string, folder: string): boolean {
  const names = readdirSync(folder).map((file) => path.parse(file).name);
  return names.some((name) => test === name || test.startsWith(`${name}-`));
}

const faults: string[] = [];
for (const file of readdirSync(units, { recursive: true, encoding: 'utf8' })) {
  const folder = path.dirname(file);
  if (!file.endsWith('.ts') || folder === '.') continue;
  const tested = testedFolder(folder);
  const test = /([^/]+?)(?:\.property)?\.test\.ts$/.exec(file)?.[1];
  const shown = path.relative(root, tested);
  if (!existsSync(tested)) faults.push(`test/unit/${file}: there is no folder ${shown}`);
  else if (test !== undefined && !isNamedAfterOne(test, tested))
    faults.push(`test/unit/${file}: its name begins with that of no file in ${shown}`);
}
process.stderr.write(faults.map((fault) => `${fault}\n`).join(''));
process.exitCode = faults.length > 0 ? 1 : 0;
