import { filler } from './encode.ts';
import { CHUNK_SIZE, headerFields, imageId, imageKey, slot, wrappingKey } from './sample.ts';
import { type HeaderFields, jsonText, type NamedSuite, sealHeader } from './seal.ts';
import type { HeaderVector, NamedVectors, Packed, Stage } from './vector.ts';

const good = sealHeader(headerFields, imageKey, imageId);

function sealed(change: Partial<HeaderFields> & Record<string, unknown>): string {
  return sealHeader({ ...headerFields, ...change }, imageKey, imageId);
}

/** A header with a member `compression` in its place. */
function ofCompression(compression: unknown): string {
  const { slots, ...rest } = headerFields;
  return sealHeader({ ...rest, compression, slots }, imageKey, imageId);
}

/** A header with a member `suite` in its place. */
function ofSuite(suite: unknown, change: Partial<HeaderFields> = {}): string {
  const { format, version, image, ...rest } = headerFields;
  return sealHeader({ format, version, image, suite, ...rest, ...change }, imageKey, imageId);
}

function opens(
  description: string,
  change: { suite?: NamedSuite; cipher?: string; chunkSize?: number; compression?: string; slots?: unknown[] },
): HeaderVector {
  const { suite, cipher = 'aes-256-xts', chunkSize = CHUNK_SIZE, compression, slots = [slot()] } = change;
  const ofDefault = compression === undefined ? sealed({ cipher, chunkSize, slots }) : ofCompression(compression);
  return {
    description,
    kind: 'header',
    stage: 'ok',
    wrappingKey: wrappingKey.toString('hex'),
    input: [{ text: suite === undefined ? ofDefault : ofSuite(suite, { cipher, slots }) }],
    expected: {
      imageKey: imageKey.toString('hex'),
      imageId: imageId.toString('hex'),
      ...(suite === undefined ? {} : { suite }),
      cipher,
      chunkSize,
      ...(compression === undefined ? {} : { compression }),
      slots: slots.length,
    },
  };
}

function refused(
  description: string,
  stage: Stage,
  code: string,
  message: string,
  input: string | Packed,
): HeaderVector {
  return {
    description,
    kind: 'header',
    stage,
    wrappingKey: wrappingKey.toString('hex'),
    input: typeof input === 'string' ? [{ text: input }] : input,
    expected: { code, message },
  };
}

/** What is left in the place of a header that was shredded. */
function shredded(change: Readonly<Record<string, unknown>>): string {
  const image = imageId.toString('hex');
  return jsonText({ format: 'ckptfs', version: 1, image, shredded: '2026-11-29T12:00:00Z', ...change });
}

function notAnImage(description: string, input: string | Packed): HeaderVector {
  const message = typeof input === 'string' && input.startsWith('{"') ? 'does not describe' : 'ckptfs.json';
  return refused(description, 'header', 'not-an-image', message, input);
}

function badVersion(version: unknown): HeaderVector {
  const text = sealed({ version });
  return refused(`version ${JSON.stringify(version)}`, 'header', 'unsupported-format', 'version', text);
}

function badMember(name: string, value: unknown): HeaderVector {
  const text = sealed({ [name]: value });
  const shown = JSON.stringify(value).slice(0, 60);
  return refused(`${name} ${shown}`, 'header', 'damaged', `"${name}"`, text);
}

function badForm(description: string, input: string | Packed): HeaderVector {
  return refused(`a good header, but ${description}`, 'header', 'damaged', 'canonical', input);
}

/** A combination that suite `fips` does not have. */
function notOfFips(description: string, message: string, change: Partial<HeaderFields>): HeaderVector {
  return refused(`fips: ${description}`, 'header', 'unsupported-format', message, ofSuite('fips', change));
}

/** A slot that only its protected header matters of. */
function slotOf(parameters: object): object {
  return { ...slot(), protected: Buffer.from(JSON.stringify(parameters)).toString('base64url') };
}

function bytesOf(text: string): string {
  return Buffer.from(text).toString('hex');
}

const { protected: slotHeader, ...slotRest } = slot();
const described = { protected: slotHeader, header: { kind: 'key', label: 'ours' }, ...slotRest };
const describedHeader = sealed({ slots: [described] });
const { slots, ...withoutSlots } = headerFields;
const withoutMac = jsonText(headerFields);
const otherSlot = { ...slot(), iv: filler('another iv', 12).toString('base64url') };
const upperCaseId = { image: imageId.toString('hex').toUpperCase() };

export const headerVectors: NamedVectors = {
  'aes-256-xts': opens('the default cipher and chunk size', {}),
  'aes-128-xts': opens('aes-128-xts with chunks of 4096 bytes', { cipher: 'aes-128-xts', chunkSize: 4096 }),
  'chacha20-poly1305': opens('chacha20-poly1305, 65536 bytes', { cipher: 'chacha20-poly1305', chunkSize: 65536 }),
  none: opens('cipher none, 8192 bytes', { cipher: 'none', chunkSize: 8192 }),
  'slots-three': opens('three slots, of which the last is for the key', { slots: [slot(16), slot(24), slot(32)] }),
  'slot-described': opens('a slot with a description', { slots: [described] }),
  'slots-64': opens('as many slots as there can be', { slots: Array.from({ length: 64 }, () => slot()) }),

  'fips-aes-256-xts': opens('suite fips', { suite: 'fips' }),
  'fips-aes-256-gcm': opens('suite fips, aes-256-gcm, slots of three kinds', {
    suite: 'fips',
    cipher: 'aes-256-gcm',
    slots: [slotOf({ alg: 'RSA-OAEP-256' }), slotOf({ alg: 'ECDH-ES+A256KW', epk: { crv: 'P-521' } }), slot()],
  }),
  'compression-zstd': opens('compression zstd', { compression: 'zstd' }),
  'compression-lz4': opens('compression lz4', { compression: 'lz4' }),
  'compression-unknown': refused(
    'an unknown compression',
    'header',
    'unsupported-format',
    'compression',
    ofCompression('brotli'),
  ),
  'compression-none': refused('no compression, by name', 'header', 'unsupported-format', 'none', ofCompression('none')),
  'compression-null': refused('a compression that is null', 'header', 'damaged', '"compression"', ofCompression(null)),
  'compression-removed': changed('the compression was removed', / {2}"compression".*\n/, '', ofCompression('zstd')),
  'compression-changed': changed('zstd was made lz4 after sealing', '"zstd"', '"lz4"', ofCompression('zstd')),
  'suite-unknown': refused('an unknown suite', 'header', 'unsupported-format', 'suite', ofSuite('fips-4')),
  'suite-default': refused('the default suite by its name', 'header', 'damaged', 'canonical', ofSuite('default')),
  'suite-number': refused('a suite that is a number', 'header', 'damaged', '"suite"', ofSuite(1)),
  'suite-null': refused('a suite that is null', 'header', 'damaged', '"suite"', ofSuite(null)),
  'fips-chacha20-poly1305': notOfFips('cipher chacha20-poly1305', 'of suite fips', { cipher: 'chacha20-poly1305' }),
  'fips-aes-128-xts': notOfFips('cipher aes-128-xts', 'of suite fips', { cipher: 'aes-128-xts' }),
  'fips-none': notOfFips('cipher none', 'of suite fips', { cipher: 'none' }),
  'fips-slot-x25519': notOfFips('a slot of X25519', 'key slot', {
    slots: [slot(), slotOf({ alg: 'ECDH-ES+A256KW', epk: { crv: 'X25519' } })],
  }),
  'fips-slot-unknown': notOfFips('a slot of an unknown algorithm', 'key slot', {
    slots: [slot(), slotOf({ alg: 'x' })],
  }),
  'suite-removed': changed('the suite was removed after sealing', / {2}"suite".*\n/, '', ofSuite('fips')),
  'suite-added': changed('suite fips was added after sealing', '  "cipher"', '  "suite": "fips",\n  "cipher"'),

  empty: refused('an empty file', 'header', 'damaged', 'header of 0 bytes', []),
  'too-long': refused('one byte too many', 'header', 'damaged', 'header of 1048577 bytes', [{ zeros: 1_048_577 }]),
  'not-json': notAnImage('not JSON', 'ckptfs'),
  'cut-off': notAnImage('cut off in the middle', good.slice(0, 200)),
  'not-utf-8': notAnImage('not UTF-8', [bytesOf('{"format": "ckptfs'), 'ff', bytesOf('"}')]),
  'json-null': notAnImage('JSON null', 'null\n'),
  'json-array': notAnImage('a JSON array', `[${good}]`),
  'two-values': notAnImage('two JSON values', good + good),
  'format-missing': notAnImage('no member format', '{"version": 1}'),
  'format-other': notAnImage('another format', sealed({ format: 'ckptfs2' })),

  'version-2': badVersion(2),
  'version-0': badVersion(0),
  'version-text': badVersion('1'),
  'version-null': badVersion(null),
  'version-fraction': badVersion(1.5),
  shredded: refused('a header that was shredded', 'header', 'not-an-image', 'was shredded at', shredded({})),
  'shredded-with-slots': refused(
    'a shredded header that has slots',
    'header',
    'damaged',
    '"shredded"',
    shredded({ slots: [slot()] }),
  ),
  'shredded-time': refused(
    'a shredded header without a time',
    'header',
    'damaged',
    '"shredded"',
    shredded({ shredded: true }),
  ),
  'version-first': refused(
    'an unknown version is refused before anything else is looked at',
    'header',
    'unsupported-format',
    'version',
    '{"format":"ckptfs","version":2}',
  ),
  'cipher-unknown': refused(
    'an unknown cipher',
    'header',
    'unsupported-format',
    'cipher',
    sealed({ cipher: 'aes-256-ocb' }),
  ),
  'cipher-aes-192-xts': refused(
    'AES-192 is not defined for XTS',
    'header',
    'unsupported-format',
    'aes-192-xts',
    sealed({ cipher: 'aes-192-xts' }),
  ),
  'cipher-upper-case': refused('upper case', 'header', 'unsupported-format', 'cipher', sealed({ cipher: 'NONE' })),
  'cipher-number': badMember('cipher', 1),
  'chunk-size-12288': badMember('chunkSize', 12288),
  'chunk-size-2048': badMember('chunkSize', 2048),
  'chunk-size-131072': badMember('chunkSize', 131072),
  'chunk-size-0': badMember('chunkSize', 0),
  'chunk-size-negative': badMember('chunkSize', -16384),
  'chunk-size-fraction': badMember('chunkSize', 16384.5),
  'chunk-size-text': badMember('chunkSize', '16384'),
  'chunk-size-beyond-32-bits': badMember('chunkSize', 2 ** 32 + 16384),
  'image-upper-case': badMember('image', upperCaseId.image),
  'image-short': badMember('image', imageId.toString('hex', 0, 15)),
  'image-null': badMember('image', null),
  'slots-none': badMember('slots', []),
  'slots-65': badMember(
    'slots',
    Array.from({ length: 65 }, () => slot()),
  ),
  'slots-object': badMember('slots', slot()),
  'slots-missing': refused(
    'no member slots',
    'header',
    'damaged',
    '"slots"',
    jsonText({ ...withoutSlots, mac: 'A'.repeat(43) }),
  ),
  'slot-member-unknown': refused(
    'a slot with a further member',
    'header',
    'damaged',
    'key slot',
    sealed({ slots: [{ ...slot(), kid: 'x' }] }),
  ),
  'mac-missing': refused('no member mac', 'header', 'damaged', '"mac"', withoutMac),
  'mac-short': refused('a mac of 42 characters', 'header', 'damaged', '"mac"', good.replace(/.("\n}\n)$/, '$1')),

  'space-after-brace': badForm('a space after the last brace', `${good} `),
  'line-feed-missing': badForm('no line feed at the end', good.slice(0, -1)),
  'line-feed-twice': badForm('two line feeds at the end', `${good}\n`),
  'carriage-returns': badForm('with CR LF', good.replaceAll('\n', '\r\n')),
  'byte-order-mark': badForm('a byte order mark in front', `\ufeff${good}`),
  'one-line': badForm('without indentation', `${JSON.stringify(JSON.parse(good))}\n`),
  tabs: badForm('indented with tabs', `${JSON.stringify(JSON.parse(good), null, '\t')}\n`),
  'member-order': badForm('cipher comes before image', good.replace(/( {2}"image".*\n)( {2}"cipher".*\n)/, '$2$1')),
  'member-twice': badForm('the member cipher stands twice', good.replace(/( {2}"cipher".*\n)/, '$1$1')),
  'member-twice-other': badForm(
    'a member cipher of another value comes before the one that counts',
    good.replace(/( {2}"cipher".*\n)/, '  "cipher": "none",\n$1'),
  ),
  'member-unknown': badForm('a further member', good.replace('  "slots"', '  "comment": "",\n  "slots"')),
  'member-proto': badForm('a member __proto__', good.replace('  "slots"', '  "__proto__": {},\n  "slots"')),
  'slot-member-order': badForm(
    'the members of the slot in another order',
    good.replace(/(\s+"iv".*)(\s+"ciphertext".*)/, '$2$1'),
  ),
  'slot-description-last': badForm(
    'the description of a slot after its other members',
    sealed({ slots: [{ ...slot(), header: { kind: 'key' } }] }),
  ),
  'slot-description-order': badForm(
    'the members of a description in another order',
    sealed({ slots: [{ protected: slotHeader, header: { label: 'ours', kind: 'key' }, ...slotRest }] }),
  ),
  escape: badForm('a letter written as an escape', good.replace('"aes-256-xts"', '"\\u0061es-256-xts"')),
  'escaped-slash': badForm('a member name with an escape', good.replace('"version"', '"\\u0076ersion"')),
  'number-exponent': badForm('the chunk size as 16384e0', good.replace('16384', '16384e0')),
  'number-fraction': badForm('the version as 1.0', good.replace('"version": 1', '"version": 1.0')),
  'mac-spare-bits': badForm(
    'bits of the mac that decoding drops',
    good.replace(/.("\n}\n)$/, (end) => spareBit(end)),
  ),

  'slot-description-changed': changed('a label was changed after sealing', '"ours"', '"mine"', describedHeader),
  'slot-for-another-key': refused(
    'no slot that the key opens',
    'slot',
    'wrong-key',
    'does not open',
    sealed({ slots: [slot(16), slot(24)] }),
  ),
  'slot-changed': refused(
    'the slot has another iv',
    'slot',
    'wrong-key',
    'does not open',
    sealed({ slots: [otherSlot] }),
  ),
  'mac-flipped': refused('one bit of the mac is another', 'mac', 'damaged', 'authentication', flippedMac()),
  'chunk-size-changed': changed('the chunk size was changed after sealing', '16384', '8192'),
  'cipher-changed': changed('the cipher was changed after sealing', '"aes-256-xts"', '"none"'),
  'image-changed': refused(
    'the image id was changed after sealing, so that the slot is of another image',
    'slot',
    'damaged',
    'slots of other images',
    good.replace(`"image": "${imageId.toString('hex')}"`, `"image": "${'0'.repeat(32)}"`),
  ),
  'slot-added': refused(
    'a slot that was added without the image key',
    'mac',
    'damaged',
    'authentication',
    jsonText({ ...headerFields, slots: [slot(), otherSlot], mac: JSON.parse(good).mac }),
  ),
};

function changed(description: string, from: string | RegExp, to: string, header = good): HeaderVector {
  return refused(description, 'mac', 'damaged', 'authentication', header.replace(from, to));
}

function flippedMac(): string {
  return good.replace(/"mac": "(.)/, (_, first: string) => `"mac": "${first === 'A' ? 'B' : 'A'}`);
}

/** The last of 43 characters carries two bits that are not part of the 32 bytes. */
function spareBit(end: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return (alphabet[alphabet.indexOf(end.slice(0, 1)) + 1] ?? '') + end.slice(1);
}
