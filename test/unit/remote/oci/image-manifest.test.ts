import { describe, expect, test } from 'vitest';
import { MalformedError } from '../../../../src/base/bytes.ts';
import { encodeRemoteIndex, type RemotePart } from '../../../../src/format/remote-index.ts';
import {
  encodeImageManifest,
  listedAnnotations,
  parseImageManifest,
} from '../../../../src/remote/oci/image-manifest.ts';
import { indexOf, partOf } from '../contract.ts';

const named = (text: string): RemotePart => partOf(Buffer.from(text));
const [header, manifest, object, table] = [named('header'), named('manifest'), named('object'), named('table')];
const index = indexOf(header, manifest, object, table);
const encoded = encodeRemoteIndex(index);
const config = partOf(encoded);
const subject = {
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: `sha256:${'cd'.repeat(32)}`,
  size: 7,
};

test('an image is an artifact, as docs/remote.md says', () => {
  expect(JSON.parse(encodeImageManifest(index, encoded, 'v1', subject).toString())).toEqual({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    artifactType: 'application/vnd.ckptfs.image.v1',
    config: {
      mediaType: 'application/vnd.ckptfs.index.v1+json',
      digest: `sha256:${config.digest}`,
      size: config.size,
      data: encoded.toString('base64'),
    },
    layers: [
      { mediaType: 'application/vnd.ckptfs.header.v1', digest: `sha256:${header.digest}`, size: 6 },
      { mediaType: 'application/vnd.ckptfs.manifest.v1', digest: `sha256:${manifest.digest}`, size: 8 },
      { mediaType: 'application/vnd.ckptfs.object.v1', digest: `sha256:${object.digest}`, size: 6 },
      { mediaType: 'application/vnd.ckptfs.blocks.v1', digest: `sha256:${table.digest}`, size: 5 },
    ],
    subject,
    annotations: {
      'vnd.ckptfs.image': '11'.repeat(16),
      'vnd.ckptfs.cipher': 'aes-256-xts',
      'vnd.ckptfs.size': '4110',
      'vnd.ckptfs.objects': '1',
      'org.opencontainers.image.ref.name': 'v1',
    },
  });
});

test('an index that is too large to come with the manifest does not', () => {
  const large = (size: number) => parseImageManifest(encodeImageManifest(index, Buffer.alloc(size, 'index'), 'v1'));
  expect(large(1_048_576)?.data).toHaveLength(1_048_576);
  expect(large(1_048_577)).toMatchObject({ config: { size: 1_048_577 }, data: undefined });
});

test('equal parts are one layer', () => {
  const same = encodeImageManifest(indexOf(header, header, header, header), encoded, 'v1');
  expect(JSON.parse(same.toString()).layers).toHaveLength(1);
});

test('what was written is read', () => {
  const parsed = parseImageManifest(encodeImageManifest(index, encoded, 'v1'));
  expect(parsed?.config).toEqual(config);
  expect(parsed?.data).toEqual(encoded);
  expect(parsed && listedAnnotations(parsed)).toEqual({
    imageId: '11'.repeat(16),
    cipher: 'aes-256-xts',
    size: 4110,
    objects: 1,
  });
});

describe('what is not an image', () => {
  test.each(['{}', 'null', '[]', '{"artifactType":"application/vnd.other"}'])('%s is something else', (text) => {
    expect(parseImageManifest(Buffer.from(text))).toBeUndefined();
  });

  const artifactType = 'application/vnd.ckptfs.image.v1';
  const mediaType = 'application/vnd.ckptfs.index.v1+json';
  const digest = `sha256:${'ab'.repeat(32)}`;
  const abc = { digest: `sha256:${named('abc').digest}`, size: 3 };

  test('is told from an image whose index comes with it, or does not', () => {
    for (const data of [{}, { data: 'YWJj' }]) {
      const config = { mediaType, ...abc, ...data };
      expect(parseImageManifest(Buffer.from(JSON.stringify({ artifactType, config })))?.config).toEqual(named('abc'));
    }
  });

  test.each([
    [{}],
    [{ config: null }],
    [{ config: { mediaType: 'application/json', digest, size: 1 } }],
    [{ config: { mediaType, digest: 'sha512:ab', size: 1 } }],
    [{ config: { mediaType, digest, size: 0 } }],
    [{ config: { mediaType, digest, size: 17_000_000 } }],
    [{ config: { mediaType, digest, size: '1' } }],
    [{ config: { mediaType, digest, size: 3, data: 'YWJj' } }],
    [{ config: { mediaType, ...abc, size: 4, data: 'YWJj' } }],
    [{ config: { mediaType, ...abc, data: 'YWJj\n' } }],
    [{ config: { mediaType, ...abc, data: 'YWJ' } }],
    [{ config: { mediaType, ...abc, data: null } }],
  ])('%j is refused', (value) => {
    expect(() => parseImageManifest(Buffer.from(JSON.stringify({ artifactType, ...value })))).toThrow(MalformedError);
  });

  test('is not listed by annotations that say anything else', () => {
    const annotated = { annotations: { 'vnd.ckptfs.image': '\x1b[31m', 'vnd.ckptfs.cipher': 'x' } };
    expect(listedAnnotations(annotated)).toBeUndefined();
  });
});
