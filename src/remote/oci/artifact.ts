import { MalformedError } from '../../base/bytes.ts';
import type { RemotePart } from '../../format/remote-index.ts';
import { sha256Hex } from '../shared/digest.ts';

/** Bytes of a manifest that registries accept. */
export const MAX_IMAGE_MANIFEST_SIZE = 4_194_304;
export const IMAGE_MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
/** Bytes of a config that comes with its manifest. */
const MAX_DATA_SIZE = 1_048_576;

/** A manifest, or a part of one, by its digest. */
export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  /** The bytes themselves, by base64. */
  readonly data?: string;
}

/** What the artifacts of ckptfs are told by (docs/remote.md, Layout). */
export interface ArtifactKind {
  readonly artifactType: string;
  readonly configType: string;
  /** Bytes of its config. */
  readonly maxConfigSize: number;
}

/** What is read of the manifest of any artifact. */
export interface Artifact {
  readonly config: RemotePart;
  /** The bytes of the config, where they come with the manifest. */
  readonly data: Buffer | undefined;
  /** The other members, as they came. */
  readonly members: Readonly<Record<string, unknown>>;
}

/** Returns the part that has these bytes. */
export function partOfBytes(bytes: Buffer): RemotePart {
  return { digest: sha256Hex(bytes), size: bytes.length };
}

export function descriptorOf(mediaType: string, { digest, size }: RemotePart): Descriptor {
  return { mediaType, digest: `sha256:${digest}`, size };
}

/** Encodes a manifest. @param config the bytes of its config, which are in it if they are few */
export function encodeArtifact(
  { artifactType, configType }: ArtifactKind,
  config: Buffer,
  members: { layers: readonly Descriptor[]; subject?: Descriptor | undefined; annotations?: Record<string, string> },
): Buffer {
  const { layers, subject, annotations } = members;
  const data = config.length <= MAX_DATA_SIZE ? { data: config.toString('base64') } : {};
  const manifest = {
    schemaVersion: 2,
    mediaType: IMAGE_MANIFEST_TYPE,
    artifactType,
    config: { ...descriptorOf(configType, partOfBytes(config)), ...data },
    layers,
    ...(subject === undefined ? {} : { subject }),
    ...(annotations === undefined ? {} : { annotations }),
  };
  return Buffer.from(JSON.stringify(manifest));
}

/**
 * Parses a manifest that may be of anything.
 * @returns undefined for one of something else than this kind
 * @throws MalformedError for one of this kind that is not as it must be
 */
export function parseArtifact(bytes: Buffer, kind: ArtifactKind): Artifact | undefined {
  let members: unknown;
  try {
    members = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new MalformedError('it is not JSON');
  }
  if (!isRecord(members) || members['artifactType'] !== kind.artifactType) return undefined;
  const { config } = members;
  if (!isRecord(config) || config['mediaType'] !== kind.configType)
    throw new MalformedError('its config is of another type');
  const { digest, size, data } = config;
  const hex = typeof digest === 'string' ? /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1] : undefined;
  if (hex === undefined || typeof size !== 'number' || !Number.isInteger(size) || size < 1 || size > kind.maxConfigSize)
    throw new MalformedError('its config has no digest and size that are possible');
  const part = { digest: hex, size };
  return { config: part, data: data === undefined ? undefined : parsedData(data, part), members };
}

function parsedData(data: unknown, { digest, size }: RemotePart): Buffer {
  const bytes = Buffer.from(typeof data === 'string' ? data : '', 'base64');
  if (bytes.length !== size || bytes.toString('base64') !== data || sha256Hex(bytes) !== digest)
    throw new MalformedError('its config has other bytes than its digest says');
  return bytes;
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
