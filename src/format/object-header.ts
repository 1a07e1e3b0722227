import { type CipherName, cipherCode } from './ciphers.ts';
import { PAGE_SIZE } from './geometry.ts';

const MAGIC = Buffer.from('ckptobj1', 'latin1');
const VERSION = 1;

/**
 * Makes the header page of an object (format.md §6). Every byte follows from the arguments, so a reader compares the
 * page with this one.
 * @param imageId 16 bytes
 * @param objectId 16 bytes
 */
export function encodeObjectHeader(
  cipher: CipherName,
  chunkSize: number,
  imageId: Uint8Array,
  objectId: Uint8Array,
): Buffer {
  const page = Buffer.alloc(PAGE_SIZE);
  MAGIC.copy(page, 0);
  page.writeUInt32LE(VERSION, 8);
  page.writeUInt8(cipherCode(cipher), 12);
  page.writeUInt8(Math.log2(chunkSize), 13);
  page.set(imageId, 16);
  page.set(objectId, 32);
  return page;
}
