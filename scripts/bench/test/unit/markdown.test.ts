import { expect, test } from 'vitest';
import { listed, table, wrapped } from '../../markdown.ts';

test('a paragraph is wrapped between words, and never within code', () => {
  const lines = wrapped(`- ${'word '.repeat(22)}\`criu restore -D\`, and more`, '  ').split('\n');
  expect(lines).toEqual([`- ${'word '.repeat(22).trimEnd()}`, '  `criu restore -D`, and more']);
  expect(wrapped('short')).toBe('short');
});

test('items are listed with "and" before the last one', () => {
  expect([listed([]), listed(['a']), listed(['a', 'b']), listed(['a', 'b', 'c'])]).toEqual([
    '',
    'a',
    'a and b',
    'a, b and c',
  ]);
});

test('a table has its numbers on the right', () => {
  expect(table(['', 'median'], [['a', '1']])).toBe('|  | median |\n| --- | ---: |\n| a | 1 |');
});
