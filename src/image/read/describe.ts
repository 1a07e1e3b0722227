import { X509Certificate } from 'node:crypto';
import { printable } from '../../base/printable.ts';
import type { CompressionName } from '../../format/compressions.ts';
import type { Header } from '../../format/header.ts';
import { FORMAT_VERSION } from '../../format/header.ts';
import type { Inode } from '../../format/manifest.ts';
import { slotAlgorithm } from '../../format/slot.ts';
import { DEFAULT_SUITE, type SuiteName } from '../../format/suites.ts';
import type { Store } from '../../stores/store.ts';
import { type ListedSignature, listSignatures } from '../signatures/stored-signatures.ts';
import { dataBytes } from './extents.ts';
import type { Image } from './image.ts';

/** Characters. */
const MAX_SUBJECT = 512;

/** What an image shows without a key. Nothing of it is authenticated. */
export interface ImageOutside {
  readonly formatVersion: number;
  /** Whether it is sealed. If not, it is being written, or writing it was interrupted. */
  readonly sealed: boolean;
  readonly imageId: string;
  readonly suite: SuiteName;
  readonly cipher: string;
  /** Bytes. */
  readonly chunkSize: number;
  /** How chunks are compressed where that saves room; undefined where none is. */
  readonly compression?: CompressionName;
  /** The ids of the images that it takes the place of, the newest first. */
  readonly replaces?: readonly string[];
  /** `alg` of each key slot. */
  readonly slots: readonly string[];
  /** Those of a sealed image. Nothing of them is verified. */
  readonly signatures: readonly DescribedSignature[];
  readonly objects: number;
  /** Bytes of header, manifest and objects; holes of objects are not counted. */
  readonly storedBytes: number;
}

/** What a signature says of itself. */
export interface DescribedSignature {
  /** `alg`: EdDSA, ES256, ES384 or PS256. */
  readonly algorithm: string;
  /** The thumbprint of the key of the signer. */
  readonly signer: string;
  /** The subject of the certificate that came with it. */
  readonly subject?: string;
  /** When it was made, by ISO 8601. */
  readonly signedAt: string;
}

/** What the files of a tree are, by number and size. */
export interface TreeContents {
  readonly files: number;
  readonly directories: number;
  readonly symlinks: number;
  readonly fifos: number;
  readonly sockets: number;
  /** Sum of the files' sizes, bytes; a file with several names counts once. */
  readonly fileBytes: number;
  /** The bytes of `fileBytes` that are not in holes. */
  readonly dataBytes: number;
}

/** What an image shows with its key, in addition. */
export interface ImageInside extends TreeContents {
  readonly epoch: number;
  /** `storedBytes` over `dataBytes`, less one; undefined when there is no data. */
  readonly overhead: number | undefined;
}

/** Describes an image without its key. @throws CkptfsError `io` */
export function describeOutside(store: Store, header: Header): ImageOutside {
  const { objects } = store.list();
  const named = (store.sizeOf('ckptfs.json') ?? 0) + (store.sizeOf('manifest') ?? 0);
  return {
    formatVersion: FORMAT_VERSION,
    sealed: !store.has('journal'),
    imageId: header.imageId.toString('hex'),
    suite: header.suite ?? DEFAULT_SUITE,
    cipher: header.cipher,
    chunkSize: header.chunkSize,
    ...(header.compression === undefined ? {} : { compression: header.compression }),
    ...(header.replaces === undefined ? {} : { replaces: header.replaces.map((id) => id.toString('hex')) }),
    slots: header.slots.map((slot) => slotAlgorithm(slot) ?? 'unknown'),
    signatures: store.has('journal') ? [] : listSignatures(store).map(describeSignature),
    objects: objects.length,
    storedBytes: objects.reduce((sum, { size }) => sum + size, named),
  };
}

function describeSignature({ algorithm, signer, signedAt, certificate }: ListedSignature): DescribedSignature {
  const subject = certificate && subjectOf(certificate);
  return { algorithm, signer, ...(subject === undefined ? {} : { subject }), signedAt };
}

/** Node gives one attribute a line, in the order of the certificate. */
function subjectOf(der: Buffer): string | undefined {
  try {
    return printable(new X509Certificate(der).subject.split('\n').reverse().join(','), MAX_SUBJECT);
  } catch {
    return undefined;
  }
}

/** Describes an image that was opened with its key. @throws CkptfsError `io` */
export function describeInside(image: Image): ImageInside {
  const contents = describeContents(image.manifest.inodes);
  const { storedBytes } = describeOutside(image.store, image.header);
  const { dataBytes } = contents;
  return {
    epoch: image.manifest.epoch,
    ...contents,
    overhead: dataBytes === 0 ? undefined : storedBytes / dataBytes - 1,
  };
}

/** Counts what a tree has. */
export function describeContents(inodes: readonly Inode[]): TreeContents {
  const counts = { file: 0, directory: 0, symlink: 0, fifo: 0, socket: 0 };
  let fileBytes = 0;
  let data = 0;
  for (const inode of inodes) {
    counts[inode.type]++;
    if (inode.type !== 'file') continue;
    fileBytes += inode.size;
    data += dataBytes(inode.extents);
  }
  return {
    files: counts.file,
    directories: counts.directory,
    symlinks: counts.symlink,
    fifos: counts.fifo,
    sockets: counts.socket,
    fileBytes,
    dataBytes: data,
  };
}
