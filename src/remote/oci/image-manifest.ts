import {
  MAX_INDEX_SIZE,
  objectIdOf,
  type RemoteFile,
  type RemoteIndex,
  type RemotePart,
  remoteSize,
} from '../../format/remote-index.ts';
import {
  type ArtifactKind,
  type Descriptor,
  descriptorOf,
  encodeArtifact,
  isRecord,
  parseArtifact,
} from './artifact.ts';

const INDEX_TYPE = 'application/vnd.ckptfs.index.v1+json';
const IMAGE: ArtifactKind = {
  artifactType: 'application/vnd.ckptfs.image.v1',
  configType: INDEX_TYPE,
  maxConfigSize: MAX_INDEX_SIZE,
};
const TYPES: Readonly<Record<string, string>> = {
  'ckptfs.json': 'application/vnd.ckptfs.header.v1',
  manifest: 'application/vnd.ckptfs.manifest.v1',
  signatures: 'application/vnd.ckptfs.signatures.v1',
};
const OBJECT_TYPE = 'application/vnd.ckptfs.object.v1';
const BLOCKS_TYPE = 'application/vnd.ckptfs.blocks.v1';

/** What is read of the manifest of an image (docs/remote.md, Layout). */
export interface ImageManifest {
  /** The index. */
  readonly config: RemotePart;
  /** Its bytes, where they come with the manifest. */
  readonly data: Buffer | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What a registry lists of an image without its index. */
export interface ListedAnnotations {
  readonly imageId: string;
  readonly cipher: string;
  readonly size: number;
  readonly objects: number;
}

/** @param encoded the index @param tag that it is put under @param subject what it belongs to */
export function encodeImageManifest(index: RemoteIndex, encoded: Buffer, tag: string, subject?: Descriptor): Buffer {
  const { files, imageId, cipher, blocks } = index;
  const layers = new Map<string, Descriptor>();
  const pushed = [...files.map((file) => [typeOf(file), file.parts] as const), [BLOCKS_TYPE, blocks.parts] as const];
  for (const [type, parts] of pushed)
    for (const part of parts) if (!layers.has(part.digest)) layers.set(part.digest, descriptorOf(type, part));
  const annotations = {
    'vnd.ckptfs.image': imageId,
    'vnd.ckptfs.cipher': cipher,
    'vnd.ckptfs.size': String(remoteSize(index)),
    'vnd.ckptfs.objects': String(files.filter((file) => objectIdOf(file) !== undefined).length),
    'org.opencontainers.image.ref.name': tag,
  };
  return encodeArtifact(IMAGE, encoded, { layers: [...layers.values()], subject, annotations });
}

/**
 * Parses a manifest that may be of anything.
 * @returns undefined for one of something else than an image of ckptfs
 * @throws MalformedError for one of an image that is not as it must be
 */
export function parseImageManifest(bytes: Buffer): ImageManifest | undefined {
  const artifact = parseArtifact(bytes, IMAGE);
  if (artifact === undefined) return undefined;
  const { config, data, members } = artifact;
  const texts = Object.entries(isRecord(members['annotations']) ? members['annotations'] : {}).flatMap(
    ([name, text]) => (typeof text === 'string' ? [[name, text] as const] : []),
  );
  return { config, data, annotations: Object.fromEntries(texts) };
}

/** Returns what annotations say of an image; undefined where they are not those of one. */
export function listedAnnotations({ annotations }: Pick<ImageManifest, 'annotations'>): ListedAnnotations | undefined {
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
