import { expect, test } from 'vitest';
import { MalformedError } from '../../../../src/base/bytes.ts';
import {
  encodeProfileManifest,
  isProfileTag,
  parseProfileManifest,
  profileTag,
} from '../../../../src/remote/oci/profile-manifest.ts';
import { partOf } from '../contract.ts';

const profile = Buffer.from('a profile');
const { digest, size } = partOf(profile);
const subject = {
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: `sha256:${'cd'.repeat(32)}`,
  size: 7,
};

test('a profile is an artifact that belongs to its image, as docs/remote.md says', () => {
  const described = { mediaType: 'application/vnd.ckptfs.profile.v1+json', digest: `sha256:${digest}`, size };
  expect(JSON.parse(encodeProfileManifest(profile, subject).toString())).toEqual({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    artifactType: 'application/vnd.ckptfs.profile.v1',
    config: { ...described, data: profile.toString('base64') },
    layers: [described],
    subject,
  });
  const tag = profileTag(subject.digest);
  expect(tag).toBe(`sha256-${'cd'.repeat(32)}.ckptfs-profile`);
  expect([tag, 'v1'].map(isProfileTag)).toEqual([true, false]);
});

test('what was written is read, for its image alone', () => {
  const bytes = encodeProfileManifest(profile, subject);
  expect(parseProfileManifest(bytes, subject.digest)).toMatchObject({ config: { digest, size }, data: profile });
  expect(() => parseProfileManifest(bytes, `sha256:${'ef'.repeat(32)}`)).toThrow(MalformedError);
});

test.each(['{}', '[]', 'x', '{"artifactType":"application/vnd.ckptfs.profile.v1"}'])('%s is no profile', (text) => {
  expect(() => parseProfileManifest(Buffer.from(text), subject.digest)).toThrow(MalformedError);
});

test('a profile of more than 1 MiB is refused before it is fetched', () => {
  const bytes = encodeProfileManifest(Buffer.alloc(1_048_577), subject);
  expect(() => parseProfileManifest(bytes, subject.digest)).toThrow(MalformedError);
});
