import { MalformedError } from '../base/bytes.ts';
import { CkptfsError } from '../base/errors.ts';
import { type CipherName, cipherNames, isCipherName } from './ciphers.ts';
import { type CompressionName, compressionNames, isCompressionName } from './compressions.ts';
import { isChunkSize } from './geometry.ts';
import { type HeaderMark, isMarked, readMark, refusalOf } from './header-mark.ts';
import { parseSlot, type Slot, slotAlgorithm } from './slot.ts';
import { isInstant } from './slot-description.ts';
import { ciphersOf, DEFAULT_SUITE, isSlotOfSuite, isSuiteName, type SuiteName, suiteNames } from './suites.ts';

export const FORMAT_VERSION = 1;
export const MAX_HEADER_SIZE = 1_048_576;
export const MAX_SLOTS = 64;
/** Ids of images that an image takes the place of. */
export const MAX_REPLACED = 64;
/** Iterations of PBKDF2 that a reader computes for all passphrase slots of one image (format.md §3). */
export const MAX_ITERATIONS_OF_IMAGE = 8_000_000;

/** `ckptfs.json` (format.md §4). */
export interface Header {
  /** 16 bytes. */
  readonly imageId: Buffer;
  /** Undefined for the default one, which a header does not name. */
  readonly suite?: SuiteName | undefined;
  readonly cipher: CipherName;
  /** Bytes. */
  readonly chunkSize: number;
  /** How compressed chunks are compressed; undefined in an image without any. */
  readonly compression?: CompressionName | undefined;
  /**
   * The ids of the images that it takes the place of, the newest first (format.md §10); undefined where it takes that
   * of none.
   */
  readonly replaces?: readonly Buffer[];
  readonly slots: readonly Slot[];
  /** 32 bytes: HMAC-SHA-256 over {@link authenticatedHeaderBytes}. */
  readonly mac: Buffer;
}

/** The members of a header that never change. */
export type LastingHeader = Pick<Header, 'imageId' | 'suite' | 'cipher' | 'chunkSize' | 'compression' | 'replaces'>;

function lastingObject({
  imageId,
  suite = DEFAULT_SUITE,
  cipher,
  chunkSize,
  compression,
  replaces,
}: LastingHeader): Record<string, unknown> {
  return {
    format: 'ckptfs',
    version: FORMAT_VERSION,
    image: imageId.toString('hex'),
    ...(suite === DEFAULT_SUITE ? {} : { suite }),
    cipher,
    chunkSize,
    ...(compression === undefined ? {} : { compression }),
    ...(replaces === undefined ? {} : { replaces: replaces.map((id) => id.toString('hex')) }),
  };
}

function headerObject(header: Omit<Header, 'mac'>): Record<string, unknown> {
  return { ...lastingObject(header), slots: header.slots.map(parseSlot) };
}

function jsonBytes(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`, 'utf8');
}

/** Returns the bytes that the header's MAC covers (format.md §4). */
export function authenticatedHeaderBytes(header: Omit<Header, 'mac'>): Buffer {
  return jsonBytes(headerObject(header));
}

/** Returns the bytes of which signatures have the digest: a header without its slots and its MAC (format.md §9). */
export function signedHeaderBytes(header: LastingHeader): Buffer {
  return jsonBytes(lastingObject(header));
}

export function encodeHeader(header: Header): Buffer {
  return jsonBytes({ ...headerObject(header), mac: header.mac.toString('base64url') });
}

/**
 * Parses a header that is not yet authenticated: the caller checks the MAC before it trusts anything except the slots.
 * @throws CkptfsError `not-an-image`, `unsupported-format` (version, suite, cipher), `damaged` (shape, form)
 */
export function parseHeader(bytes: Uint8Array): Header {
  if (bytes.length === 0 || bytes.length > MAX_HEADER_SIZE) {
    throw new CkptfsError('damaged', `header of ${bytes.length} bytes; 1 to ${MAX_HEADER_SIZE} are possible`);
  }
  const value = parseJson(bytes);
  if (!isRecord(value) || value['format'] !== 'ckptfs') {
    throw new CkptfsError('not-an-image', 'ckptfs.json does not describe a ckptfs image', {
      data: { reason: 'other-header' },
    });
  }
  if (value['version'] !== FORMAT_VERSION) {
    throw new CkptfsError(
      'unsupported-format',
      `image format version ${printable(value['version'])} is not known; this ckptfs reads version ${FORMAT_VERSION}`,
      {
        data: { reason: 'version' },
      },
    );
  }
  if (isMarked(value)) throw markedError(value, bytes);
  const header = parseMembers(value);
  if (!encodeHeader(header).equals(bytes)) throw new CkptfsError('damaged', 'header is not in its one canonical form');
  return header;
}

/** Encodes what is there in the place of a header (format.md §4). @param time `YYYY-MM-DDThh:mm:ssZ` */
export function encodeMarkedHeader(imageId: Uint8Array, mark: HeaderMark, time: string): Buffer {
  const image = Buffer.from(imageId).toString('hex');
  return jsonBytes({ format: 'ckptfs', version: FORMAT_VERSION, image, [mark]: time });
}

/** Tells whether bytes are what is left of the header of an image that was shredded. @param imageId 32 hex digits */
export function isShreddedHeader(bytes: Buffer, imageId: string): boolean {
  const [, time = ''] = /"shredded": "([^"]*)"/.exec(bytes.toString('latin1')) ?? [];
  return isInstant(time) && encodeMarkedHeader(Buffer.from(imageId, 'hex'), 'shredded', time).equals(bytes);
}

function markedError(value: Record<string, unknown>, bytes: Uint8Array): CkptfsError {
  const found = readMark(value);
  if (found === undefined) return damagedMember('shredded' in value ? 'shredded' : 'ephemeral');
  const { image, mark, time } = found;
  if (!encodeMarkedHeader(Buffer.from(image, 'hex'), mark, time).equals(bytes)) return damagedMember(mark);
  return refusalOf(found);
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new CkptfsError('not-an-image', 'ckptfs.json is not JSON text', { data: { reason: 'other-header' }, cause });
  }
}

function parseMembers(value: Record<string, unknown>): Header {
  const { image, suite = DEFAULT_SUITE, cipher, chunkSize, compression, replaces, slots, mac } = value;
  if (typeof image !== 'string' || !/^[0-9a-f]{32}$/.test(image)) throw damagedMember('image');
  if (typeof suite !== 'string') throw damagedMember('suite');
  if (!isSuiteName(suite)) {
    throw unsupported('suite', `suite ${printable(suite)} is not known; known are ${suiteNames.join(', ')}`);
  }
  if (typeof cipher !== 'string') throw damagedMember('cipher');
  if (!isCipherName(cipher)) {
    throw unsupported('cipher', `cipher ${printable(cipher)} is not known; known are ${cipherNames.join(', ')}`);
  }
  if (!ciphersOf(suite).includes(cipher)) throw unsupported('suite', `cipher ${cipher} is not of suite ${suite}`);
  if (typeof chunkSize !== 'number' || !isChunkSize(chunkSize)) throw damagedMember('chunkSize');
  if (compression !== undefined && typeof compression !== 'string') throw damagedMember('compression');
  if (compression !== undefined && !isCompressionName(compression)) {
    const known = compressionNames.join(', ');
    throw unsupported('compression', `compression ${printable(compression)} is not known; known are ${known}`);
  }
  if (!Array.isArray(slots) || slots.length < 1 || slots.length > MAX_SLOTS) throw damagedMember('slots');
  if (typeof mac !== 'string' || !/^[A-Za-z0-9_-]{43}$/.test(mac)) throw damagedMember('mac');
  return {
    imageId: Buffer.from(image, 'hex'),
    ...(suite === DEFAULT_SUITE ? {} : { suite }),
    cipher,
    chunkSize,
    ...(compression === undefined ? {} : { compression }),
    ...(replaces === undefined ? {} : { replaces: parseReplaced(replaces, image) }),
    slots: slots.map((slot) => parseHeaderSlot(slot, suite)),
    mac: Buffer.from(mac, 'base64url'),
  };
}

/** @param image the id of the image itself */
function parseReplaced(value: unknown, image: string): readonly Buffer[] {
  const ids: readonly unknown[] = Array.isArray(value) ? value : [];
  const isRight = ids.every((id): id is string => typeof id === 'string' && /^[0-9a-f]{32}$/.test(id));
  if (!isRight || ids.length < 1 || ids.length > MAX_REPLACED || new Set([image, ...ids]).size <= ids.length) {
    throw damagedMember('replaces');
  }
  return ids.map((id) => Buffer.from(id, 'hex'));
}

function parseHeaderSlot(value: unknown, suite: SuiteName): Slot {
  let slot: Slot;
  try {
    slot = parseSlot(value);
  } catch (cause) {
    if (cause instanceof MalformedError) throw new CkptfsError('damaged', `key slot: ${cause.message}`, { cause });
    throw cause;
  }
  if (isSlotOfSuite(slot, suite)) return slot;
  throw unsupported('suite', `a key slot of ${printable(slotAlgorithm(slot))} is not of suite ${suite}`);
}

function unsupported(reason: 'suite' | 'cipher' | 'compression', message: string): CkptfsError {
  return new CkptfsError('unsupported-format', message, { data: { reason } });
}

function damagedMember(name: string): CkptfsError {
  return new CkptfsError('damaged', `header member "${name}" is missing or not what it may be`);
}

/** Makes untrusted text fit for a message: one short line without control characters for the terminal. */
function printable(value: unknown): string {
  // JSON.stringify runs out of stack for a deeply nested value that JSON.parse can read.
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? '[...]' : '{...}';
  return (
    JSON.stringify(value)
      ?.replace(/[^\x20-\x7e]/g, '?')
      .slice(0, 40) ?? 'undefined'
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
