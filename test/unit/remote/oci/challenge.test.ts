import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseChallenge } from '../../../../src/remote/oci/challenge.ts';

test.each([
  [
    'Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"',
    { scheme: 'bearer', realm: 'https://a/t', service: 's', scope: 'repository:x:pull,push' },
  ],
  ['bearer realm=https://a/t', { scheme: 'bearer', realm: 'https://a/t' }],
  ['Bearer realm="a\\"b", realm="second"', { scheme: 'bearer', realm: 'a"b' }],
  ['Basic realm="r", Bearer realm="https://a/t"', { scheme: 'bearer', realm: 'https://a/t' }],
  ['Basic realm="r"', { scheme: 'basic' }],
  ['Bearer service="s"', undefined],
  ['Digest realm="r"', undefined],
  ['', undefined],
  [`Bearer realm="${'a'.repeat(9000)}"`, undefined],
])('%j is understood', (field, challenge) => {
  expect(parseChallenge(field)).toEqual(challenge);
});

test('nothing makes it fail, or take long', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^(?:Bearer |Basic |realm=|"|\\|,|a| )*$/), (field) => void parseChallenge(field)),
  );
  // A pattern that goes back without end would not end here.
  for (const piece of ['\\"', 'a=', ',', ' ', 'a'])
    expect(parseChallenge(`Bearer ${piece.repeat(8000)}`)).toBeUndefined();
});
