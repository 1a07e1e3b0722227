import fs from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readsDirect, writesDirect } from '../../../src/fs/direct-opens.ts';

const own = process.pid;
const name = `/proc/${own}/comm`;

/** Calls `body` while this process has another name. */
function named<T>(text: string, body: () => T): T {
  const before = fs.readFileSync(name, 'utf8');
  fs.writeFileSync(name, text);
  try {
    return body();
  } finally {
    fs.writeFileSync(name, before.trimEnd());
  }
}

test.each([
  ['criu', true],
  ['criu-4.1.1', true],
  ['criu: a name of 15 bytes', true],
  ['crit', false],
  ['xcriu', false],
  ['', false],
])('auto reads directly for a thread that is called %j: %s', (text, expected) => {
  expect(named(text, () => readsDirect('auto', own))).toBe(expected);
});

test('auto reads through the cache for a thread that has no number here, or is gone', () => {
  named('criu', () => {
    expect(readsDirect('auto', 0)).toBe(false);
    expect(readsDirect('auto', 0x7fffffff)).toBe(false);
  });
});

test('the other choices look at no name', () => {
  expect(readsDirect('direct', 0)).toBe(true);
  expect(named('criu', () => readsDirect('cached', own))).toBe(false);
});

describe('a file that was made is written directly', () => {
  const pages = Buffer.from('pages-1.img');

  test.each([
    ['pages-1.img', true],
    ['pages-shmem-12.img', true],
    ['core-1.img', false],
    ['pages-1.img.old', false],
    ['pagemap-1.img', false],
  ])('with auto by criu: %s, %s', (name, expected) => {
    expect(named('criu', () => writesDirect('auto', Buffer.from(name), own))).toBe(expected);
  });

  test('with auto by no other thread', () => {
    expect(named('dd', () => writesDirect('auto', pages, own))).toBe(false);
  });

  test('with direct always, with cached never', () => {
    expect(writesDirect('direct', Buffer.from('a'), 0)).toBe(true);
    expect(named('criu', () => writesDirect('cached', pages, own))).toBe(false);
  });
});
