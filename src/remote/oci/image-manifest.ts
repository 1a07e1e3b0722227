import { MalformedError } from '../../base/bytes.ts';
import {
  MAX_INDEX_SIZE,
  objectIdOf,
  type RemoteFile,
  type RemoteIndex,
  type RemotePart,
  remoteSize,
} from '../../format/remote-index.ts';

/** Bytes of a manifest that registries accept. */
export const MAX_IMAGE_MANIFEST_SIZE = 4_194_304;
export const IMAGE_MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
export const ARTIFACT_TYPE = 'application/vnd.ckptfs.image.v1';
const INDEX_TYPE = 'application/vnd.ckptfs.index.v1+json';
const TYPES: Readonly<Record<string, string>> = {
  'ckptfs.json': 'application/vnd.ckptfs.header.v1',
  manifest: 'application/vnd.ckptfs.manifest.v1',
  signatures: 'application/vnd.ckptfs.signatures.v1',
};
const OBJECT_TYPE = 'application/vnd.ckptfs.object.v1';
const BLOCKS_TYPE = 'application/vnd.ckptfs.blocks.v1';

/** A manifest, or a part of one, by its digest. */
export interface Descriptor {
  readonly mediaType: string;
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

/** What is read of the manifest of an image (docs/remote.md, Layout). */
export interface ImageManifest {
  /** The index. */
  readonly config: RemotePart;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What a registry lists of an image without its index. */
export interface ListedAnnotations {
  readonly imageId: string;
  readonly cipher: string;
  readonly size: number;
  readonly objects: number;
}

/** @param config the index, encoded @param tag that it is put under @param subject what it belongs to */
export function encodeImageManifest(index: RemoteIndex, config: RemotePart, tag: string, subject?: Descriptor): Buffer {
  const { files, imageId, cipher, blocks } = index;
  const layers = new Map<string, Descriptor>();
  const pushed = [...files.map((file) => [typeOf(file), file.parts] as const), [BLOCKS_TYPE, blocks.parts] as const];
  for (const [type, parts] of pushed)
    for (const part of parts) if (!layers.has(part.digest)) layers.set(part.digest, descriptor(type, part));
  const annotations = {
    'vnd.ckptfs.image': imageId,
    'vnd.ckptfs.cipher': cipher,
    'vnd.ckptfs.size': String(remoteSize(index)),
    'vnd.ckptfs.objects': String(files.filter((file) => objectIdOf(file) !== undefined).length),
    'org.opencontainers.image.ref.name': tag,
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: IMAGE_MANIFEST_TYPE,
    artifactType: ARTIFACT_TYPE,
    config: descriptor(INDEX_TYPE, config),
    layers: [...layers.values()],
    ...(subject === undefined ? {} : { subject }),
    annotations,
  };
  return Buffer.from(JSON.stringify(manifest));
}

/**
 * Parses a manifest that may be of anything.
 * @returns undefined for one of something else than an image of ckptfs
 * @throws MalformedError for one of an image that is not as it must be
 */
export function parseImageManifest(bytes: Buffer): ImageManifest | undefined {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new MalformedError('it is not JSON');
  }
  if (!isRecord(value) || value['artifactType'] !== ARTIFACT_TYPE) return undefined;
  const { config, annotations } = value;
  if (!isRecord(config) || config['mediaType'] !== INDEX_TYPE) throw new MalformedError('its config is not an index');
  const { digest, size } = config;
  const hex = typeof digest === 'string' ? /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1] : undefined;
  if (hex === undefined || typeof size !== 'number' || !Number.isInteger(size) || size < 1 || size > MAX_INDEX_SIZE)
    throw new MalformedError('its index has no digest and size that are possible');
  const texts = Object.entries(isRecord(annotations) ? annotations : {}).flatMap(([name, text]) =>
    typeof text === 'string' ? [[name, text] as const] : [],
  );
  return { config: { digest: hex, size }, annotations: Object.fromEntries(texts) };
}

/** Returns what annotations say of an image; undefined where they are not those of one. */
export function listedAnnotations({ annotations }: ImageManifest): ListedAnnotations | undefined {
  const text = (name: string, pattern: RegExp): string | undefined => {
    const value = Object.hasOwn(annotations, name) ? annotations[name] : undefined;
    return value !== undefined && pattern.test(value) ? value : undefined;
  };
  const [imageId, cipher] = [
    text('vnd.ckptfs.image', /^[0-9a-f]{32}$/),
    text('vnd.ckptfs.cipher', /^[a-z0-9-]{1,64}$/),
  ];
  const [size, objects] = [text('vnd.ckptfs.size', /^\d{1,15}$/), text('vnd.ckptfs.objects', /^\d{1,9}$/)];
  if (imageId === undefined || cipher === undefined || size === undefined || objects === undefined) return undefined;
  return { imageId, cipher, size: Number(size), objects: Number(objects) };
}

function typeOf({ name }: RemoteFile): string {
  return TYPES[name] ?? OBJECT_TYPE;
}

function descriptor(mediaType: string, { digest, size }: RemotePart): Descriptor {
  return { mediaType, digest: `sha256:${digest}`, size };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
