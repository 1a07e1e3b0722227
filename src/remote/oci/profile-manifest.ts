import { MalformedError } from '../../base/bytes.ts';
import { MAX_PROFILE_SIZE } from '../../format/access-profile.ts';
import {
  type Artifact,
  type ArtifactKind,
  type Descriptor,
  descriptorOf,
  encodeArtifact,
  isRecord,
  parseArtifact,
  partOfBytes,
} from './artifact.ts';

const PROFILE_TYPE = 'application/vnd.ckptfs.profile.v1+json';
const PROFILE: ArtifactKind = {
  artifactType: 'application/vnd.ckptfs.profile.v1',
  configType: PROFILE_TYPE,
  maxConfigSize: MAX_PROFILE_SIZE,
};
const SUFFIX = '.ckptfs-profile';

/** Returns the tag of the access profile of an image. @param digest of the image's manifest, `sha256:…` */
export function profileTag(digest: string): string {
  return `${digest.replace(':', '-')}${SUFFIX}`;
}

export function isProfileTag(tag: string): boolean {
  return tag.endsWith(SUFFIX);
}

/** @param profile encoded @param subject the manifest of its image */
export function encodeProfileManifest(profile: Buffer, { mediaType, digest, size }: Descriptor): Buffer {
  // Not every registry takes a manifest without layers.
  const layers = [descriptorOf(PROFILE_TYPE, partOfBytes(profile))];
  return encodeArtifact(PROFILE, profile, { layers, subject: { mediaType, digest, size } });
}

/**
 * Parses the manifest of a profile.
 * @param subject the digest of the image's manifest
 * @throws MalformedError for anything else than a profile of this image
 */
export function parseProfileManifest(bytes: Buffer, subject: string): Artifact {
  const artifact = parseArtifact(bytes, PROFILE);
  const named = artifact?.members['subject'];
  if (artifact === undefined || !isRecord(named) || named['digest'] !== subject)
    throw new MalformedError('it is no access profile of this image');
  return artifact;
}
