import { expect, test } from 'vitest';
import { longListing, modeText, nameJson, table, timeText } from '../../../../src/cli/terminal/listing.ts';
import { NO_TIMES } from '../../../support/times.ts';

test.each([
  ['file', 0o644, '-rw-r--r--'],
  ['directory', 0o1777, 'drwxrwxrwt'],
  ['directory', 0o1776, 'drwxrwxrwT'],
  ['file', 0o4755, '-rwsr-xr-x'],
  ['file', 0o2644, '-rw-r-Sr--'],
  ['file', 0o7000, '---S--S--T'],
  ['symlink', 0o777, 'lrwxrwxrwx'],
] as const)('a %s with the mode %o is shown as %s', (type, mode, text) => {
  expect(modeText({ type, mode })).toBe(text);
});

test.each([
  [0, '1970-01-01 00:00:00'],
  [-1, '1969-12-31 23:59:59'],
  [1795296579, '2026-11-21 21:29:39'],
  [Number.MAX_SAFE_INTEGER, `@${Number.MAX_SAFE_INTEGER}`],
])('the time %d is shown as %s', (seconds, text) => {
  expect(timeText(seconds)).toBe(text);
});

test('one line for each file, columns aligned, names and targets escaped', () => {
  const common = { inode: 2, mode: 0o644, uid: 0, gid: 1000, links: 1, ...NO_TIMES };
  const name = Buffer.from('a\nb');
  const target = Buffer.from('\x1b[2J');
  expect(
    longListing([
      { ...common, type: 'file', name: Buffer.from('pages-1.img'), size: 1048576 },
      { ...common, type: 'symlink', name, target, size: 4 },
    ]),
  ).toBe(
    '-rw-r--r--  1  0  1000  1048576  1970-01-01 00:00:00  pages-1.img\n' +
      'lrw-r--r--  1  0  1000        4  1970-01-01 00:00:00  a\\nb -> \\x1b[2J\n',
  );
  expect(longListing([])).toBe('');
});

test('a name in JSON is text, and its bytes besides where it is no text', () => {
  expect(nameJson('name', Buffer.from('größe\n'))).toEqual({ name: 'größe\n' });
  expect(nameJson('file', Buffer.from([0x61, 0xff]))).toEqual({ file: 'a\ufffd', fileBase64: 'Yf8=' });
});

test('columns are aligned, numbers to the right, and no line ends in spaces', () => {
  const rows = [
    ['a', '1', 'x'],
    ['long', '22', ''],
  ];
  expect(table(rows, [1])).toBe('a      1  x\nlong  22\n');
  expect(table(rows)).toBe('a     1   x\nlong  22\n');
  expect(table([])).toBe('');
});
