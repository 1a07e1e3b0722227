/**
 * The cryptography of docs/format.md §3 to §7 from node:crypto and @noble/ciphers alone: a second implementation beside
 * src/crypto.
 */
import { createCipheriv, createHash, createHmac, hkdfSync } from 'node:crypto';
import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { type Cipher, cipherCodes, objectHeader, PAGE, u8, u16, u32, u64 } from './encode.ts';

/** A suite that a header names. */
export type NamedSuite = 'fips';

/** What all keys and additional data of an object depend on. */
export interface ObjectKeys {
  readonly suite?: NamedSuite | undefined;
  readonly cipher: Cipher;
  readonly imageKey: Buffer;
  readonly imageId: Buffer;
  readonly objectId: Buffer;
}

function hkdf(imageKey: Buffer, salt: Buffer, info: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', imageKey, salt, info, length));
}

export function headerMacKey(imageKey: Buffer, imageId: Buffer): Buffer {
  return hkdf(imageKey, imageId, 'ckptfs 1 header mac', 32);
}

export function manifestKey(imageKey: Buffer, imageId: Buffer): Buffer {
  return hkdf(imageKey, imageId, 'ckptfs 1 manifest', 32);
}

export function journalKey(imageKey: Buffer, imageId: Buffer, journalId: Buffer): Buffer {
  return hkdf(imageKey, Buffer.concat([imageId, journalId]), 'ckptfs 1 journal', 32);
}

export function dataKey({ cipher, imageKey, imageId, objectId }: ObjectKeys): Buffer {
  const length = cipher === 'aes-256-xts' ? 64 : 32;
  return hkdf(imageKey, Buffer.concat([imageId, objectId]), `ckptfs 1 object ${cipher}`, length);
}

export function macKey({ cipher, imageKey, imageId, objectId }: ObjectKeys): Buffer {
  return hkdf(imageKey, Buffer.concat([imageId, objectId]), `ckptfs 1 object mac ${cipher}`, 32);
}

export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function aesGcm(key: Buffer, nonce: Buffer, additional: Buffer, plain: Buffer): { text: Buffer; tag: Buffer } {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(additional);
  const text = Buffer.concat([cipher.update(plain), cipher.final()]);
  return { text, tag: cipher.getAuthTag() };
}

/** AES-256-GCM under a key that serves once, and so under a nonce of zeros: the ciphertext and its tag. */
function gcmOnce(key: Buffer, additional: Buffer, plain: Buffer): Buffer {
  const { text, tag } = aesGcm(key, Buffer.alloc(12), additional, plain);
  return Buffer.concat([text, tag]);
}

export interface Slot {
  readonly protected: string;
  readonly encrypted_key: string;
  readonly iv: string;
  readonly ciphertext: string;
  readonly tag: string;
}

/**
 * RFC 7516 §5.1 with RFC 3394 key wrap and A256GCM.
 * @param contentKey 32 bytes @param iv 12 bytes @param header the protected header; by default that of format.md §3
 */
export function sealSlot(payload: Buffer, wrappingKey: Buffer, contentKey: Buffer, iv: Buffer, header: string): Slot {
  const wrap = createCipheriv(`aes${wrappingKey.length * 8}-wrap`, wrappingKey, Buffer.alloc(8, 0xa6));
  const encryptedKey = Buffer.concat([wrap.update(contentKey), wrap.final()]);
  const protectedHeader = Buffer.from(header).toString('base64url');
  const { text, tag } = aesGcm(contentKey, iv, Buffer.from(protectedHeader, 'ascii'), payload);
  return {
    protected: protectedHeader,
    encrypted_key: encryptedKey.toString('base64url'),
    iv: iv.toString('base64url'),
    ciphertext: text.toString('base64url'),
    tag: tag.toString('base64url'),
  };
}

export interface HeaderFields {
  readonly format: unknown;
  readonly version: unknown;
  readonly image: unknown;
  readonly suite?: unknown;
  readonly cipher: unknown;
  readonly chunkSize: unknown;
  readonly compression?: unknown;
  readonly slots: unknown;
}

export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** The header's text with a MAC that is right for these fields. */
export function sealHeader(fields: HeaderFields, imageKey: Buffer, imageId: Buffer): string {
  const mac = createHmac('sha256', headerMacKey(imageKey, imageId)).update(jsonText(fields)).digest('base64url');
  return jsonText({ ...fields, mac });
}

export interface ManifestKeys {
  readonly suite?: NamedSuite | undefined;
  readonly imageKey: Buffer;
  readonly imageId: Buffer;
  readonly cipher: Cipher;
  readonly chunkSize: number;
  /** 24 bytes. */
  readonly nonce: Buffer;
}

/** The file `manifest`. @param prefix its first 16 bytes, which are additional data too */
export function sealManifest(
  { suite, imageKey, imageId, cipher, chunkSize, nonce }: ManifestKeys,
  plain: Buffer,
  prefix: Buffer = Buffer.concat([Buffer.from('ckptmfst'), u32(1), u32(0)]),
): Buffer {
  const additional = Buffer.concat([prefix, imageId, u8(cipherCodes[cipher]), u8(Math.log2(chunkSize))]);
  const key = manifestKey(imageKey, imageId);
  const sealed =
    suite === 'fips'
      ? gcmOnce(hkdf(key, nonce, 'ckptfs 1 manifest seal', 32), additional, plain)
      : xchacha20poly1305(key, nonce, additional).encrypt(plain);
  return Buffer.concat([prefix, nonce, sealed]);
}

/** A frame of a journal. @param header of the journal; its last 16 bytes are its id @param nonce 12 bytes */
export function sealFrame(
  { suite, imageKey, imageId, header, number, nonce }: FrameKeys,
  plain: Buffer,
  length: Buffer = u32(plain.length),
): Buffer {
  const additional = Buffer.concat([header, u64(number), length]);
  const key = journalKey(imageKey, imageId, header.subarray(16));
  const sealed =
    suite === 'fips'
      ? gcmOnce(hkdf(key, Buffer.concat([u64(number), nonce]), 'ckptfs 1 journal frame', 32), additional, plain)
      : chacha20poly1305(key, nonce, additional).encrypt(plain);
  return Buffer.concat([length, nonce, sealed]);
}

export interface FrameKeys {
  readonly suite?: NamedSuite | undefined;
  readonly imageKey: Buffer;
  readonly imageId: Buffer;
  readonly header: Buffer;
  readonly number: number;
  readonly nonce: Buffer;
}

export interface ChunkFields {
  readonly index: number;
  /** 12 bytes; the bits that must be zero are made so, but in suite `fips`. */
  readonly nonce: Buffer;
  readonly holes: number;
  /** What is in the place of the number of compressed sectors; by default that number. */
  readonly flags?: number;
  /** How many sectors at the beginning of `plain` are those of a compressed chunk. */
  readonly sectors?: number;
  /** The whole chunk in clear; the bytes of holes, and of what a compressed chunk does not store, do not matter. */
  readonly plain: Buffer;
}

/** Returns the bytes of a record. */
export function recordSize(chunkSize: number): number {
  return { 4096: 32, 8192: 64, 16384: 64, 32768: 128, 65536: 256 }[chunkSize] ?? Number.NaN;
}

/** Returns a nonce as a record has it, or as a sector has it. */
export function nonceOf(nonce: Buffer, sector = 0): Buffer {
  return Buffer.concat([nonce.subarray(0, 11), u8((nonce.readUInt8(11) & 0xf0) | sector)]);
}

/** A chunk as it is stored, zeros in its holes, and its record. */
export function sealChunk(keys: ObjectKeys, chunk: ChunkFields): SealedChunk {
  const { index, nonce, holes, sectors = 0, flags = sectors, plain } = chunk;
  const stored = Buffer.alloc(plain.length);
  const record = Buffer.alloc(recordSize(plain.length));
  record.set(Buffer.concat([keys.suite === 'fips' ? nonce : nonceOf(nonce), u16(holes), u16(flags)]));
  for (let sector = 0; sector < plain.length / PAGE; sector++) {
    const isEmpty = sectors > 0 ? sector >= sectors : ((holes >> sector) & 1) === 1;
    const clear = isEmpty ? Buffer.alloc(0) : plain.subarray(sector * PAGE, (sector + 1) * PAGE);
    const additional = Buffer.concat([keys.objectId, u64(index), u32(sector), u16(holes), u16(flags)]);
    const sealed = sealSector(keys, nonce, sector, additional, clear);
    stored.set(sealed.text, sector * PAGE);
    record.set(sealed.tag.subarray(0, 12), 16 + 12 * sector);
  }
  return { stored, record };
}

export interface SealedChunk {
  readonly stored: Buffer;
  readonly record: Buffer;
}

function sealSector(
  keys: ObjectKeys,
  nonce: Buffer,
  sector: number,
  additional: Buffer,
  clear: Buffer,
): { text: Buffer; tag: Buffer } {
  const { cipher } = keys;
  const tweak = Buffer.concat([keys.suite === 'fips' ? nonce : nonceOf(nonce), u32(sector)]);
  const own = keys.suite === 'fips' ? tweak : nonceOf(nonce, sector);
  if (cipher === 'aes-256-gcm') return aesGcm(dataKey(keys), own, additional, clear);
  if (cipher === 'chacha20-poly1305') {
    const sealed = Buffer.from(chacha20poly1305(dataKey(keys), own, additional).encrypt(Uint8Array.from(clear)));
    return { text: sealed.subarray(0, -16), tag: sealed.subarray(-16) };
  }
  const text = cipher === 'none' || clear.length === 0 ? clear : xts(keys, cipher, tweak, clear);
  return { text, tag: aesGcm(macKey(keys), own, Buffer.concat([additional, text]), Buffer.alloc(0)).tag };
}

function xts(keys: ObjectKeys, cipher: 'aes-256-xts' | 'aes-128-xts', tweak: Buffer, clear: Buffer) {
  const encryption = createCipheriv(cipher, dataKey(keys), tweak);
  return Buffer.concat([encryption.update(clear), encryption.final()]);
}

/** A whole object file of these chunks, and the digest of each of its tag pages. */
export function objectFile(
  keys: ObjectKeys,
  chunkSize: number,
  chunks: readonly SealedChunk[],
): { readonly file: Buffer; readonly digests: Buffer[] } {
  const parts = [objectHeader(keys.cipher, chunkSize, keys.imageId, keys.objectId)];
  const digests: Buffer[] = [];
  const size = recordSize(chunkSize);
  for (let first = 0; first < chunks.length; first += PAGE / size) {
    const group = chunks.slice(first, first + PAGE / size);
    const page = Buffer.alloc(PAGE);
    for (const [at, { record }] of group.entries()) page.set(record, at * size);
    digests.push(sha256(page));
    parts.push(page, ...group.map(({ stored }) => stored));
  }
  return { file: Buffer.concat(parts), digests };
}
