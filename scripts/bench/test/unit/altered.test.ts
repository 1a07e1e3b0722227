import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { tricks } from '../../peers/altered.ts';

const project = join(import.meta.dirname, '../../../..');

test('each constant of src/base/tuning.ts is what one trick alters', () => {
  const source = readFileSync(join(project, 'src/base/tuning.ts'), 'utf8');
  const declared = [...source.matchAll(/^declare const (\w+)/gm)].map(([, name]) => name);
  const altered = Object.values(tricks).flatMap((group) => group.map(({ constant }) => constant));
  expect(altered.toSorted()).toEqual(declared.toSorted());
});
