import { describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { keyPath, parseKmipAddress } from '../../../../src/keys/kmip/address.ts';

describe('an address', () => {
  test('has a server and a key', () => {
    expect(parseKmipAddress('//kms.example/7')).toEqual({
      servers: [{ host: 'kms.example', port: 5696, text: 'kms.example' }],
      key: '7',
      fetchesKey: false,
      version: undefined,
      text: 'kmip://kms.example/7',
    });
  });

  test('may have several servers, ports, parameters and no key', () => {
    const { servers, key, fetchesKey, version, text } = parseKmipAddress(
      '//a,10.0.0.1:5697,[::1]:99?use=get&version=1.2',
    );
    expect(servers.map(({ host, port }) => [host, port])).toEqual([
      ['a', 5696],
      ['10.0.0.1', 5697],
      ['::1', 99],
    ]);
    expect({ key, fetchesKey, version, text }).toEqual({
      key: undefined,
      fetchesKey: true,
      version: '1.2',
      text: 'kmip://a,10.0.0.1:5697,[::1]:99',
    });
    expect(parseKmipAddress('//a/').key).toBeUndefined();
  });

  test('has any name of a key, escaped', () => {
    const name = 'fleet key/7?ü';
    expect(parseKmipAddress(`//a/${keyPath(name)}`)).toMatchObject({ key: name, text: `kmip://a/${keyPath(name)}` });
  });

  test.each([
    '',
    'a/7',
    '//',
    '///7',
    '//a b/7',
    '//user@a/7',
    '//a:0/7',
    '//a:65536/7',
    '//a:x/7',
    '//a,/7',
    '//a/%zz',
    '//a/%0a',
    `//a/${'x'.repeat(513)}`,
    '//a/7#x',
    '//a/7?use=put',
    '//a/7?version=1.1',
    '//a/7?version=1.3&version=1.4',
    '//a/7?x=y',
    `//${Array.from({ length: 9 }, () => 'a').join(',')}/7`,
  ])('"%s" is refused', (rest) => {
    expect(() => parseKmipAddress(rest)).toThrow(CkptfsError);
  });
});
