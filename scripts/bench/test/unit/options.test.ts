import { describe, expect, test } from 'vitest';
import { groupNames, parseOptions } from '../../options.ts';

const ordinary = { documents: '/project/docs', results: '/project/results' };
const parse = (...args: readonly string[]) => parseOptions(args, ordinary);

describe('options', () => {
  test('a full run is long and writes the page', () => {
    expect(parse()).toMatchObject({
      quick: false,
      whole: true,
      rounds: 5,
      size: 2 ** 30,
      groups: groupNames,
      out: ordinary,
    });
  });
  test('a quick run is short and writes nothing', () => {
    expect(parse('--quick')).toMatchObject({ quick: true, rounds: 3, size: 2 ** 27, out: undefined });
  });
  test('a part of a run writes nothing unless told where', () => {
    expect(parse('--only', 'random,crypto')).toMatchObject({ groups: ['random', 'crypto'], out: undefined });
    expect(parse('--peers', 'ckptfs,gpg')).toMatchObject({ peers: ['ckptfs', 'gpg'], whole: false, out: undefined });
    expect(parse('--only', 'random', '--out', '/elsewhere')).toMatchObject({
      out: { documents: '/elsewhere', results: '/elsewhere/results' },
    });
  });
  test('a run for the targets has full length, and writes nothing unless told to record', () => {
    const targets = { targets: true, whole: false, rounds: 5, size: 2 ** 30 };
    expect(parse('--targets')).toMatchObject({ ...targets, out: undefined });
    expect(parse('--targets', '--record')).toMatchObject({ ...targets, out: ordinary });
  });
  test('an earlier ckptfs may be anywhere', () => {
    expect(parse('--before', '/elsewhere/ckptfs/')?.before).toBe('/elsewhere/ckptfs');
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
