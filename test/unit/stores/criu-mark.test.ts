import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { isCriuDirectory } from '../../../src/stores/criu-mark.ts';
import { criuCase } from '../../support/criu-fixtures.ts';
import { copyOfCase, temporaryDirectory } from '../../support/criu-trees.ts';

test('a directory with cipher.img is of CRIU, and one that has such directories in it', () => {
  expect(isCriuDirectory(criuCase('loop').encrypted)).toBe(true);
  expect(isCriuDirectory(criuCase('parent').encrypted)).toBe(true);
  expect(isCriuDirectory(criuCase('loop').plain)).toBe(false);
});

test('an image of ours is none, whatever else is in it', () => {
  for (const mark of ['ckptfs.json', 'manifest', 'journal']) {
    const directory = copyOfCase('loop');
    writeFileSync(path.join(directory, mark), '');
    expect(isCriuDirectory(directory), mark).toBe(false);
  }
});

test('what cannot be looked at is none, and links and directories named cipher.img do not count', () => {
  const directory = temporaryDirectory();
  expect(isCriuDirectory(path.join(directory, 'missing'))).toBe(false);
  mkdirSync(path.join(directory, 'cipher.img'));
  symlinkSync(criuCase('loop').encrypted, path.join(directory, 'link'));
  expect(isCriuDirectory(directory)).toBe(false);
});
