import { MalformedError } from '../base/bytes.ts';
import { isCipherName } from './ciphers.ts';
import { MAX_HEADER_SIZE } from './header.ts';
import { MAX_MANIFEST_SIZE } from './manifest-envelope.ts';
import { PACKED_BLOCK_SIZE, packedSizes } from './packed-part.ts';
import { MAX_SIGNATURES_SIZE } from './signatures.ts';

/** Bytes of an index (docs/remote.md). */
export const MAX_INDEX_SIZE = 16_777_216;
export const MIN_PART_SIZE = 4096;
export const MAX_PART_SIZE = 4_294_967_296;
const DEFAULT_PART_SIZE = 33_554_432;
/** The number of parts of the default size; larger images have larger ones. */
const MAX_WANTED_PARTS = 1024;
const MAX_FILES = 65_536;
/** Bytes of the block table for each block of an object. */
export const BLOCK_ENTRY_SIZE = 17;
/** Bytes of a block table. */
export const MAX_BLOCK_TABLE_SIZE = 268_435_456;
const PAGE_SIZE = 4096;
const FORMAT = 'ckptfs pushed image';
const VERSION = 1;

/** Bytes as they are pushed: the parts follow each other from the first byte on. */
export interface PushedBytes {
  /** Bytes. */
  readonly size: number;
  readonly parts: readonly RemotePart[];
}

/** A file of an image. */
export interface RemoteFile extends PushedBytes {
  /** Relative to the image (format.md §2). */
  readonly name: string;
}

/** What an image in a remote store consists of. Nothing of it is authenticated. */
export interface RemoteIndex {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  readonly cipher: string;
  /** Bytes of each part but the last one of a file. */
  readonly partSize: number;
  readonly files: readonly RemoteFile[];
  /** The block table. */
  readonly blocks: PushedBytes;
}

/** A part as it is stored, packed. */
export interface RemotePart {
  /** Its SHA-256, 64 hexadecimal digits, by which it is called. */
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
}

/** A part, and which bytes of a file it has. */
export interface FilePart extends RemotePart {
  readonly start: number;
  readonly length: number;
}

/** Returns the size of the parts of an image. @param bytes of all of its objects */
export function partSizeFor(bytes: number): number {
  let size = DEFAULT_PART_SIZE;
  while (size < MAX_PART_SIZE && bytes > size * MAX_WANTED_PARTS) size *= 2;
  return size;
}

/** Returns the name of the file of an object (format.md §2). */
export function objectFileName(id: string): string {
  return `objects/${id.slice(0, 2)}/${id}`;
}

/** Returns the id in the name of the file of an object; undefined for another file. */
export function objectIdOf({ name }: Pick<RemoteFile, 'name'>): string | undefined {
  return /^objects\/([0-9a-f]{2})\/(\1[0-9a-f]{30})$/.exec(name)?.[2];
}

/** Returns the parts of a file, or of the block table, in the order of its bytes. */
export function partsOf({ size, parts }: PushedBytes, partSize: number): FilePart[] {
  return parts.map((part, index) => {
    const start = index * partSize;
    return { ...part, start, length: Math.min(partSize, size - start) };
  });
}

/** Returns the bytes of each block of an object but the last one. */
export function blockSizeFor(partSize: number): number {
  return Math.min(PACKED_BLOCK_SIZE, partSize);
}

/** Returns the number of blocks of all objects. */
export function countBlocks(files: readonly Pick<RemoteFile, 'name' | 'size'>[], partSize: number): number {
  const objects = files.filter((file) => objectIdOf(file) !== undefined);
  return objects.reduce((sum, { size }) => sum + Math.ceil(size / blockSizeFor(partSize)), 0);
}

/** Returns the bytes of all files. */
export function remoteSize({ files }: RemoteIndex): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}

export function encodeRemoteIndex({ imageId, cipher, partSize, files, blocks }: RemoteIndex): Buffer {
  const listed = ({ size, parts }: PushedBytes): PushedBytes => ({
    size,
    parts: parts.map((part) => ({ digest: part.digest, size: part.size })),
  });
  const members = {
    format: FORMAT,
    version: VERSION,
    image: imageId,
    cipher,
    partSize,
    files: files.map((file) => ({ name: file.name, ...listed(file) })),
    blocks: listed(blocks),
  };
  return Buffer.from(JSON.stringify(members));
}

/**
 * Parses an index, which is hostile.
 * @throws MalformedError, also for a version that is not known
 */
export function parseRemoteIndex(bytes: Uint8Array): RemoteIndex {
  const { format, version, image, cipher, partSize, files, blocks } = parsedObject(bytes);
  if (format !== FORMAT) throw new MalformedError('it does not describe an image of ckptfs');
  if (version !== VERSION) throw new MalformedError(`its version is not ${VERSION}`);
  if (typeof image !== 'string' || !/^[0-9a-f]{32}$/.test(image)) throw new MalformedError('it has no image id');
  if (typeof cipher !== 'string' || !isCipherName(cipher)) throw new MalformedError('its cipher is not known');
  if (!isPartSize(partSize)) throw new MalformedError('its size of parts is not one');
  if (!Array.isArray(files) || files.length > MAX_FILES) throw new MalformedError('its files are not a list of them');
  const listed = files.map((file) => parsedFile(file, partSize));
  checkNames(listed);
  const index = { imageId: image, cipher, partSize, files: listed, blocks: parsedTable(blocks, listed, partSize) };
  if (!encodeRemoteIndex(index).equals(bytes)) throw new MalformedError('it is not in its one canonical form');
  return index;
}

function parsedObject(bytes: Uint8Array): Record<string, unknown> {
  if (bytes.length > MAX_INDEX_SIZE) throw new MalformedError(`it has more than ${MAX_INDEX_SIZE} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    throw new MalformedError('it is not JSON');
  }
  if (!isRecord(value)) throw new MalformedError('it is not an object of JSON');
  return value;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPartSize(value: unknown): value is number {
  const isNumber = typeof value === 'number' && value >= MIN_PART_SIZE && value <= MAX_PART_SIZE;
  return isNumber && Number.isInteger(Math.log2(value));
}

function parsedFile(value: unknown, partSize: number): RemoteFile {
  if (!isRecord(value)) throw new MalformedError('one of its files is not an object of JSON');
  const { name, size, parts } = value;
  if (typeof name !== 'string') throw new MalformedError('one of its files has no name');
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 1 || size > maxSize(name))
    throw new MalformedError('the size of one of its files is not possible');
  if (size % PAGE_SIZE !== 0 && objectIdOf({ name }) !== undefined)
    throw new MalformedError('one of its objects does not have whole pages');
  return { name, size, parts: parsedParts(parts, size, partSize) };
}

function parsedTable(value: unknown, files: readonly RemoteFile[], partSize: number): PushedBytes {
  const { size, parts } = isRecord(value) ? value : {};
  if (size !== BLOCK_ENTRY_SIZE * countBlocks(files, partSize) || size > MAX_BLOCK_TABLE_SIZE)
    throw new MalformedError('the size of its block table is not that of one');
  return { size, parts: parsedParts(parts, size, partSize) };
}

function parsedParts(value: unknown, size: number, partSize: number): RemotePart[] {
  if (!Array.isArray(value) || value.length !== Math.ceil(size / partSize))
    throw new MalformedError('one of its files has too many parts or too few');
  const parts = value.map(parsedPart);
  for (const part of partsOf({ size, parts }, partSize)) {
    const { least, most } = packedSizes(part.length);
    if (part.size < least || part.size > most) throw new MalformedError('the size of one of its parts is not possible');
  }
  return parts;
}

function parsedPart(value: unknown): RemotePart {
  const { digest, size } = isRecord(value) ? value : {};
  if (typeof digest !== 'string' || !/^[0-9a-f]{64}$/.test(digest))
    throw new MalformedError('one of its parts has no SHA-256');
  if (typeof size !== 'number' || !Number.isSafeInteger(size))
    throw new MalformedError('the size of one of its parts is not possible');
  return { digest, size };
}

/** Returns the greatest size of a file (format.md §2); 0 for one that an image does not have. */
function maxSize(name: string): number {
  const named: Readonly<Record<string, number>> = {
    'ckptfs.json': MAX_HEADER_SIZE,
    manifest: MAX_MANIFEST_SIZE,
    signatures: MAX_SIGNATURES_SIZE,
  };
  if (Object.hasOwn(named, name)) return named[name] ?? 0;
  return objectIdOf({ name }) === undefined ? 0 : Number.MAX_SAFE_INTEGER;
}

/** @throws MalformedError unless the files are those of a sealed image, each once and in order */
function checkNames(files: readonly RemoteFile[]): void {
  const [header, manifest, ...rest] = files.map(({ name }) => name);
  const objects = rest[0] === 'signatures' ? rest.slice(1) : rest;
  const isInOrder = objects.every(
    (name, index) => name.startsWith('objects/') && (index === 0 || (objects[index - 1] ?? '') < name),
  );
  if (header !== 'ckptfs.json' || manifest !== 'manifest' || !isInOrder)
    throw new MalformedError('its files are not those of a sealed image, in order');
}
