import { expect, test } from 'vitest';
import { archiveSuffix, imageNameOf, lastNameOf, pathIn } from '../../../src/library/archive-names.ts';

const name = Buffer.from([0xff, 0x0a, ...Buffer.from('.tar.gz')]);

test('an image has the name of its archive without the end, in bytes', () => {
  expect(imageNameOf(name)).toEqual(Buffer.from([0xff, 0x0a]));
  expect(imageNameOf(Buffer.from('a.tar.tar'))).toEqual(Buffer.from('a.tar'));
});

test('the last name of an archive is one of an archive, and fits however long the name was', () => {
  const last = lastNameOf(Buffer.from(`${'a'.repeat(248)}.tar.gz`), '0a'.repeat(16));
  expect(last.toString()).toBe(`ckptfs-taken-${'0a'.repeat(16)}.tar.gz`);
  expect(archiveSuffix(last)).toBe('.tar.gz');
});

test('a path is shown in one line', () => {
  expect(pathIn('/a', name)).toBe('/a/\\xff\\n.tar.gz');
});
