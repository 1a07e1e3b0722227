import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import {
  formatPkcs11Uri,
  type PathAttribute,
  type Pkcs11Uri,
  parsePkcs11Uri,
  pathAttributes,
  type QueryAttribute,
  queryAttributes,
} from '../../../../src/keys/pkcs11/uri.ts';

function read(text: string): Record<string, string> {
  const { path, query } = parsePkcs11Uri(text);
  return Object.fromEntries([...path, ...query].map(([name, value]) => [name, value.toString('latin1')]));
}

function refusal(text: string): CkptfsError {
  try {
    parsePkcs11Uri(text);
  } catch (error) {
    if (error instanceof CkptfsError) return error;
    throw error;
  }
  throw new Error(`${text} was read`);
}

/** The examples of RFC 7512 §3 that name no PIN and no name of a module. */
test.each([
  ['', {}],
  ['object=my-pubkey;type=public', { object: 'my-pubkey', type: 'public' }],
  [
    'object=my-key;type=private?pin-source=file:/etc/token',
    { object: 'my-key', type: 'private', 'pin-source': 'file:/etc/token' },
  ],
  [
    'token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;' +
      'object=my-certificate;type=cert;id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin',
    {
      token: 'The Software PKCS#11 Softtoken',
      manufacturer: 'Snake Oil, Inc.',
      model: '1.0',
      object: 'my-certificate',
      type: 'cert',
      id: '\x69\x95\x3e\x5c\xf4\xbd\xec\x91',
      serial: '',
      'pin-source': 'file:/etc/token_pin',
    },
  ],
  ['slot-description=Sun%20Metaslot', { 'slot-description': 'Sun Metaslot' }],
  [
    'library-manufacturer=Snake%20Oil,%20Inc.;library-version=3',
    {
      'library-manufacturer': 'Snake Oil, Inc.',
      'library-version': '3',
    },
  ],
  ['object=a%3bb', { object: 'a;b' }],
  [
    'slot-id=327?module-path=/usr/lib/a.so&vendor=x&pin-source=/p',
    {
      'slot-id': '327',
      'module-path': '/usr/lib/a.so',
      'pin-source': '/p',
    },
  ],
] as const)('pkcs11:%s is read as RFC 7512 has it', (text, attributes) => {
  expect(read(text)).toEqual(attributes);
});

describe('what is refused', () => {
  test.each([
    ['token', 'NAME=VALUE'],
    ['=x', 'NAME=VALUE'],
    ['token=a;', 'NAME=VALUE'],
    ['token=a;token=b', 'twice'],
    ['token=a?pin-source=/a&pin-source=/b', 'twice'],
    ['vendor=a', 'not one that selects'],
    ['token=two words', '%20'],
    ['token=é', '%20'],
    ['token=a/b', '%20'],
    ['token=a#b', '%20'],
    ['token=%4', 'hexadecimal'],
    ['token=%gg', 'hexadecimal'],
    ['token=%ff', 'UTF-8'],
    ['token=a%00b', 'UTF-8'],
    ['type=secret', 'type is one of'],
    ['slot-id=-1', 'number'],
    ['slot-id=99999999999999999', 'number'],
    ['token=a?module-path=lib.so', 'absolute'],
    ['token=a?module-name=softhsm', 'module-path'],
    [`object=${'a'.repeat(8192)}`, '8192'],
  ])('pkcs11:%s', (text, why) => {
    const error = refusal(text);
    expect(error.code).toBe('bad-argument');
    expect(error.message).toContain(why);
  });

  test('a PIN, which is not repeated', () => {
    const error = refusal('token=a?pin-value=s3cret');
    expect(error.message).toContain('pin-source');
    expect(error.message).not.toContain('s3cret');
  });

  test('anything else than a URI, without repeating it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 6, maxLength: 60 }), (text) => {
        try {
          parsePkcs11Uri(text);
        } catch (error) {
          expect(error).toBeInstanceOf(CkptfsError);
          expect((error as CkptfsError).code).toBe('bad-argument');
          expect((error as CkptfsError).message).not.toContain(text);
        }
      }),
    );
  });
});

describe('what is written', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((each) => !/\0|\p{Cs}/u.test(each));
  const values: Readonly<Partial<Record<string, fc.Arbitrary<Buffer>>>> = {
    id: fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    type: fc.constantFrom('cert', 'data', 'private', 'public', 'secret-key').map((word) => Buffer.from(word)),
    'slot-id': fc.nat().map((number) => Buffer.from(`${number}`)),
    'module-path': text.map((each) => Buffer.from(`/${each}`)),
  };
  const some = <Name extends string>(names: readonly Name[]): fc.Arbitrary<Map<Name, Buffer>> =>
    fc
      .subarray([...names])
      .chain((chosen) =>
        fc.tuple(
          ...chosen.map((name) => (values[name] ?? text.map(Buffer.from)).map((value) => [name, value] as const)),
        ),
      )
      .map((entries) => new Map(entries));
  const uris: fc.Arbitrary<Pkcs11Uri> = fc.record({
    path: some<PathAttribute>(pathAttributes),
    query: some<QueryAttribute>(queryAttributes),
  });

  test('is read as it was', () => {
    fc.assert(
      fc.property(uris, (uri) => {
        const written = formatPkcs11Uri(uri);
        expect(written).toMatch(/^pkcs11:[\x21-\x7e]*$/);
        expect(parsePkcs11Uri(written.slice('pkcs11:'.length))).toEqual(uri);
      }),
    );
  });

  test('has nothing of the query where people see it', () => {
    const uri = parsePkcs11Uri('token=a%20b;object=k;id=%0a?module-path=/m&pin-source=env:PIN&x-init-reserved=r');
    expect(formatPkcs11Uri(uri, 'path')).toBe('pkcs11:token=a%20b;object=k;id=%0A');
  });
});
