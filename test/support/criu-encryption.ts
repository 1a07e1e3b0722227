// Encrypts as the program of pull request 2297 does (docs/criu-encrypted.md), by node:crypto alone: nothing of src.
import { createCipheriv, createHash, createHmac } from 'node:crypto';

const MAGIC = { common: 0x54564319, cipher: 0x50034653 };

/** The magics of an image; only the first is looked at. */
export const MAGICS = Buffer.concat([u32(MAGIC.common), u32(0x11223344)]);

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** Encodes a field of Protocol Buffers: a number, or bytes. */
export function field(number: number, value: number | bigint | Uint8Array): Buffer {
  if (value instanceof Uint8Array)
    return Buffer.concat([varint((BigInt(number) << 3n) | 2n), varint(BigInt(value.length)), value]);
  return Buffer.concat([varint(BigInt(number) << 3n), varint(BigInt(value))]);
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  for (let left = value; ; left >>= 7n) {
    bytes.push(Number(left & 0x7fn) | (left > 0x7fn ? 0x80 : 0));
    if (left <= 0x7fn) return Buffer.from(bytes);
  }
}

/** Makes cipher.img of secrets that are wrapped already. */
export function cipherImage(token: Uint8Array, pagesKey: Uint8Array, iv: Uint8Array, digest?: Uint8Array): Buffer {
  const fields = [
    field(1, token),
    field(2, pagesKey),
    field(3, iv),
    ...(digest === undefined ? [] : [field(4, digest)]),
  ];
  const message = Buffer.concat(fields);
  return Buffer.concat([u32(MAGIC.common), u32(MAGIC.cipher), u32(message.length), message]);
}

interface Sealed {
  readonly ciphertext: Buffer;
  readonly tag: Buffer;
  readonly nonce: Buffer;
}

/** Gives the same sealed bytes for the same plain ones, so that an input of the fuzzer can be made again. */
function seal(token: Uint8Array, plain: Uint8Array): Sealed {
  const nonce = createHash('sha256').update(plain).digest().subarray(0, 12);
  const cipher = createCipheriv('chacha20-poly1305', token, nonce, { authTagLength: 16 });
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()]);
  return { ciphertext, tag: cipher.getAuthTag(), nonce };
}

export function blob(token: Uint8Array, plain: Uint8Array): Buffer {
  if (plain.length === 0) return Buffer.alloc(0);
  const { ciphertext, tag, nonce } = seal(token, plain);
  return Buffer.concat([ciphertext, tag, nonce]);
}

export function entry(token: Uint8Array, message: Uint8Array): Buffer {
  return Buffer.concat([u32(message.length), blob(token, message)]);
}

/** Makes a record of a ghost file; `claimed` is what it says of its length. */
export function ghostRecord(token: Uint8Array, plain: Uint8Array, claimed: number | bigint = plain.length): Buffer {
  const { ciphertext, tag, nonce } = seal(token, plain);
  return Buffer.concat([tag, nonce, i64(claimed), ciphertext]);
}

/** Makes a record of 4136 bytes, with bytes of no meaning where the program leaves what was in memory. */
export function paddedRecord(token: Uint8Array, plain: Uint8Array, claimed: number | bigint = plain.length): Buffer {
  const { ciphertext, tag, nonce } = seal(token, plain);
  return Buffer.concat([
    tag,
    nonce,
    Buffer.of(1, 2, 3, 4),
    i64(claimed),
    ciphertext,
    Buffer.alloc(4096 - plain.length, 0xa5),
  ]);
}

function i64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  return bytes;
}

export function encryptPages(pagesKey: Uint8Array, iv: Uint8Array, plain: Uint8Array): Buffer {
  const pages: Buffer[] = [];
  for (let at = 0; at < plain.length; at += 4096)
    pages.push(createCipheriv('aes-256-xts', pagesKey, iv).update(plain.subarray(at, at + 4096)));
  return Buffer.concat(pages);
}

/** Returns what a page adds to the page digest. */
export function pageMac(token: Uint8Array, ciphertext: Uint8Array, address: bigint): Buffer {
  const place = Buffer.alloc(12);
  place.writeBigUInt64LE(address);
  return createHmac('sha256', token).update(ciphertext).update(place).digest();
}
