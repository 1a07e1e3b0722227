import { describe, expect, test } from 'vitest';
import { groupNames, parseOptions } from '../../options.ts';

const ordinary = { documents: '/project/docs', results: '/project/results' };
const parse = (...args: readonly string[]) => parseOptions(args, ordinary);

describe('options', () => {
  test('a full run is long and writes the page', () => {
    expect(parse()).toMatchObject({ quick: false, rounds: 5, size: 2 ** 30, groups: groupNames, out: ordinary });
  });
  test('a quick run is short and writes nothing', () => {
    expect(parse('--quick')).toMatchObject({ quick: true, rounds: 3, size: 2 ** 27, out: undefined });
  });
  test('a part of a run writes nothing unless told where', () => {
    expect(parse('--only', 'random,crypto')).toMatchObject({ groups: ['random', 'crypto'], out: undefined });
    expect(parse('--only', 'random', '--out', '/elsewhere')).toMatchObject({
      out: { documents: '/elsewhere', results: '/elsewhere/results' },
    });
  });
  test('help asks for nothing else', () => expect(parse('--help')).toBeUndefined());
  test.each([
    ['--only', 'random,bogus'],
    ['--rounds', '0'],
    ['--rounds', '2.5'],
    ['--size', 'big'],
    ['--bogus'],
    ['a-word'],
  ])('%s %s is refused', (...args) => expect(() => parse(...args)).toThrow());
});
