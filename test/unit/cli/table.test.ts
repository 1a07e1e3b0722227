import { expect, test } from 'vitest';
import { table } from '../../../src/cli/terminal/table.ts';

test('columns are aligned, numbers to the right, and no line ends in spaces', () => {
  const rows = [
    ['a', '1', 'x'],
    ['long', '22', ''],
  ];
  expect(table(rows, [1])).toBe('a      1  x\nlong  22\n');
  expect(table(rows)).toBe('a     1   x\nlong  22\n');
  expect(table([])).toBe('');
});
