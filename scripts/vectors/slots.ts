import { filler } from './encode.ts';
import { imageId, imageKey, slot, wrappingKey } from './sample.ts';
import type { NamedVectors, Refused, SlotVector } from './vector.ts';

const good = slot();
/** Every member that a description may have, in order. */
const description = {
  kind: 'certificate',
  label: 'night shift',
  subject: 'CN=host1.example.com,O=Example',
  certificate: filler('certificate', 32).toString('base64url'),
  notAfter: '2027-11-29T12:00:00Z',
  created: '2026-11-29T12:00:00Z',
  url: 'https://keys.example.com/night',
};

function opens(
  size: number,
  description = `a slot made with a wrapping key of ${size} bytes`,
  header?: Readonly<Record<string, string>>,
): SlotVector {
  const { protected: prot, ...rest } = slot(size);
  return {
    description,
    kind: 'slot',
    stage: 'ok',
    wrappingKey: wrappingKey.toString('hex', 0, size),
    imageId: imageId.toString('hex'),
    input: [{ text: JSON.stringify({ protected: prot, header, ...rest }) }],
    expected: { imageKey: imageKey.toString('hex') },
  };
}

const notOpened = { code: 'wrong-key', message: 'does not open' };
const ofAnother = { code: 'damaged', message: 'slots of other images' };

/** A slot that has the right form and that the key does not open. */
function closed(
  description: string,
  value: unknown,
  key: Buffer = wrappingKey,
  expected: Refused = notOpened,
): SlotVector {
  return {
    description,
    kind: 'slot',
    stage: 'slot',
    wrappingKey: key.toString('hex'),
    imageId: imageId.toString('hex'),
    input: [{ text: JSON.stringify(value) }],
    expected,
  };
}

/** What is no slot at all. */
function malformed(description: string, value: unknown, message: string): SlotVector {
  return {
    description,
    kind: 'slot',
    stage: 'header',
    wrappingKey: wrappingKey.toString('hex'),
    imageId: imageId.toString('hex'),
    input: [{ text: JSON.stringify(value) }],
    expected: { code: 'damaged', message },
  };
}

function header(parameters: object): string {
  return JSON.stringify({ alg: 'A256KW', enc: 'A256GCM', ckptfs: imageId.toString('hex'), ...parameters });
}

/** The last character of the member made another one that decodes to other bytes. */
function changed(member: keyof typeof good): object {
  const text = good[member];
  return { ...good, [member]: `${text.startsWith('A') ? 'B' : 'A'}${text.slice(1)}` };
}

const { tag, ...withoutTag } = good;

export const slotVectors: NamedVectors = {
  'key-16-bytes': opens(16),
  'key-24-bytes': opens(24),
  'key-32-bytes': opens(32),
  'other-key': closed('made with another key', good, filler('another wrapping key', 32)),
  'shorter-key': closed('a key of 16 bytes for a slot of A256KW', good, wrappingKey.subarray(0, 16)),
  'protected-changed': closed('one bit of the protected header is another', changed('protected')),
  'encrypted-key-changed': closed('one bit of the wrapped key is another', changed('encrypted_key')),
  'iv-changed': closed('one bit of the iv is another', changed('iv')),
  'ciphertext-changed': closed('one bit of the ciphertext is another', changed('ciphertext')),
  'tag-changed': closed('one bit of the tag is another', changed('tag')),
  'tag-short': closed('a tag of 12 bytes', { ...good, tag: tag.slice(0, 16) }),
  'payload-31-bytes': closed('the payload is 31 bytes, no image key', slot(32, imageKey.subarray(0, 31))),
  'payload-33-bytes': closed('the payload is 33 bytes', slot(32, Buffer.concat([imageKey, Buffer.of(0)]))),
  'payload-empty-tag-only': closed('a payload of one byte', slot(32, Buffer.of(1))),
  'enc-a128gcm': closed('an enc that is not A256GCM', slot(32, imageKey, header({ enc: 'A128GCM' }))),
  'alg-dir': closed('alg "dir"', slot(32, imageKey, header({ alg: 'dir' }))),
  'alg-other-size': closed('A128KW for a key of 32 bytes', slot(32, imageKey, header({ alg: 'A128KW' }))),
  'parameter-zip': closed('a further parameter, zip', slot(32, imageKey, header({ zip: 'DEF' }))),
  'parameter-crit': closed('a further parameter, crit', slot(32, imageKey, header({ crit: ['exp'], exp: 1 }))),
  'image-other': closed(
    'the slot of another image',
    slot(32, imageKey, header({ ckptfs: filler('another image', 16).toString('hex') })),
    wrappingKey,
    ofAnother,
  ),
  'image-missing': closed('no image', slot(32, imageKey, header({ ckptfs: undefined }))),
  'image-upper-case': closed(
    'an image id in capitals',
    slot(32, imageKey, header({ ckptfs: imageId.toString('hex').toUpperCase() })),
    wrappingKey,
    ofAnother,
  ),
  'protected-not-json': closed('a protected header that is not JSON', slot(32, imageKey, '{"alg":"A256KW"')),
  'protected-array': closed('a protected header that is an array', slot(32, imageKey, '["A256KW","A256GCM"]')),
  'member-missing': malformed('no member tag', withoutTag, 'no text tag'),
  described: opens(32, 'a slot with every member of a description', description),
  'described-label': opens(32, 'a slot with a label alone', { label: 'Schlüssel der Nacht' }),
  'header-empty': malformed('an empty description', { ...good, header: {} }, 'is empty'),
  'header-text': malformed('a description that is a text', { ...good, header: 'ours' }, 'is not an object'),
  'header-member-unknown': malformed('a description with a kid', { ...good, header: { kid: 'x' } }, 'unknown member'),
  'header-kind-unknown': malformed('an unknown kind', { ...good, header: { kind: 'pgp' } }, 'kind in the header'),
  'header-label-empty': malformed('an empty label', { ...good, header: { label: '' } }, 'label in the header'),
  'header-label-long': malformed(
    'a label of 129 characters',
    { ...good, header: { label: 'x'.repeat(129) } },
    'label in the header',
  ),
  'header-label-control': malformed(
    'a label with an escape character',
    { ...good, header: { label: 'a\u001b[2J' } },
    'label in the header',
  ),
  'header-label-surrogate': malformed(
    'a label with half of a pair',
    { ...good, header: { label: '\ud800' } },
    'label in the header',
  ),
  'header-created-no-date': malformed(
    'the 30th of February',
    { ...good, header: { created: '2026-02-30T00:00:00Z' } },
    'created in the header',
  ),
  'header-certificate-spare-bits': malformed(
    'a digest with bits that decoding drops',
    { ...good, header: { certificate: `${'A'.repeat(42)}B` } },
    'certificate in the header',
  ),
  'header-url-http': malformed(
    'a URL without TLS',
    { ...good, header: { url: 'http://keys.example.com/k' } },
    'url in the header',
  ),
  'member-unknown': malformed('a further member, kid', { ...good, kid: 'x' }, 'unknown member'),
  'member-aad': malformed('a further member, aad', { ...good, aad: 'AAAA' }, 'unknown member'),
  'member-empty': malformed('an empty iv', { ...good, iv: '' }, 'has 0 characters'),
  'member-number': malformed('an iv that is a number', { ...good, iv: 1 }, 'no text iv'),
  'member-null': malformed('an iv that is null', { ...good, iv: null }, 'no text iv'),
  'base64-padding': malformed('padding after base64url', { ...good, tag: `${tag}==` }, 'not unpadded base64url'),
  'base64-standard': malformed(
    'the standard base64 alphabet',
    { ...good, iv: '+/AAAAAAAAAAAAAA' },
    'not unpadded base64url',
  ),
  'base64-spare-bits': malformed(
    'bits that decoding drops',
    { ...good, tag: 'AAAAAAAAAAAAAAAAAAAAAB' },
    'not unpadded',
  ),
  'base64-length': malformed('a length that base64url cannot have', { ...good, iv: 'AAAAA' }, 'not unpadded base64url'),
  'base64-line-feed': malformed('a line feed in base64url', { ...good, iv: `${good.iv}\n` }, 'not unpadded base64url'),
  'member-too-long': malformed(
    'a member of 8196 characters',
    { ...good, ciphertext: 'A'.repeat(8196) },
    '8196 characters',
  ),
  'not-an-object': malformed('a text instead of an object', 'eyJhbGciOiJBMjU2S1cifQ', 'is not an object'),
  array: malformed('an array instead of an object', [good], 'is not an object'),
  null: malformed('null instead of an object', null, 'is not an object'),
};
