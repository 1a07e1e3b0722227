import { constants, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { blob, cipherImage, encryptPages, entry, ghostRecord, pageMac } from '../../support/criu-encryption.ts';

/** Magics of images in clear, by how many bytes of magics an image has. */
const COMMON_MAGIC = 0x54564319;
const INVENTORY_MAGIC = 0x58313116;
const PAGE_SIZE = 4096;
const RECORD_SIZE = 4096;

/**
 * Encrypts a dump as the program of pull request 2297 does, as far as the images of the fixtures need it: entries,
 * queues of pipes and sockets, ghost files and memory.
 * @param key a private key in PEM, of which only the public part is used
 */
export function encryptDump(plain: string, encrypted: string, key: string): void {
  mkdirSync(encrypted);
  const [token, pagesKey, iv] = [randomBytes(32), randomBytes(64), randomBytes(16)];
  const pages = new Map<string, Buffer>();
  for (const name of readdirSync(plain)) {
    const image = readFileSync(join(plain, name));
    const sealed = name.startsWith('pages-') ? encryptPages(pagesKey, iv, image) : sealImage(name, image, token);
    if (name.startsWith('pages-')) pages.set(name, sealed);
    writeFileSync(join(encrypted, name), sealed);
  }
  const wrap = (secret: Buffer): Buffer =>
    publicEncrypt({ key: createPublicKey(readFileSync(key)), padding: constants.RSA_PKCS1_PADDING }, secret);
  const digest = digestOfPages(plain, pages, token);
  writeFileSync(join(encrypted, 'cipher.img'), cipherImage(wrap(token), wrap(pagesKey), iv, digest));
}

function sealImage(name: string, image: Buffer, token: Buffer): Buffer {
  const magic = image.length < 4 ? 0 : image.readUInt32LE(0);
  if (magic !== COMMON_MAGIC && magic !== INVENTORY_MAGIC) return image;
  const sealed = [image.subarray(0, magic === COMMON_MAGIC ? 8 : 4)];
  for (let at = sealed[0]?.length ?? 0; at < image.length; ) {
    const size = image.readUInt32LE(at);
    const message = image.subarray(at + 4, at + 4 + size);
    sealed.push(entry(token, message));
    at += 4 + size;
    if (name.startsWith('ghost-file-')) {
      if (fieldOf(message, 9) === 1n) {
        sealed.push(sealChunks(image.subarray(at), token));
        break;
      }
      for (; at < image.length; at += RECORD_SIZE)
        sealed.push(ghostRecord(token, image.subarray(at, at + RECORD_SIZE)));
    }
    const queued = /^(pipes-data|fifo-data|sk-queues)/.test(name) ? Number(fieldOf(message, 2) ?? 0n) : 0;
    sealed.push(blob(token, image.subarray(at, at + queued)));
    at += queued;
  }
  return Buffer.concat(sealed);
}

/** The chunks of a ghost file with holes: only what says where they are is encrypted. */
function sealChunks(chunks: Buffer, token: Buffer): Buffer {
  const sealed: Buffer[] = [];
  for (let at = 0; at < chunks.length; ) {
    const size = chunks.readUInt32LE(at);
    const message = chunks.subarray(at + 4, at + 4 + size);
    at += 4 + size;
    const end = at + Number(fieldOf(message, 1) ?? 0n);
    sealed.push(entry(token, message), chunks.subarray(at, end));
    at = end;
  }
  return Buffer.concat(sealed);
}

/** XORs what the pages of all pagemaps add. */
function digestOfPages(plain: string, pages: ReadonlyMap<string, Buffer>, token: Buffer): Buffer {
  const digest = Buffer.alloc(32);
  for (const name of readdirSync(plain).filter((each) => each.startsWith('pagemap-'))) {
    const [head, ...runs] = entriesOf(readFileSync(join(plain, name)));
    const stored = pages.get(`pages-${head === undefined ? '' : fieldOf(head, 1)}.img`) ?? Buffer.alloc(0);
    let at = 0;
    for (const run of runs) {
      if (((fieldOf(run, 4) ?? 4n) & 4n) === 0n) continue;
      for (let page = 0n; page < (fieldOf(run, 2) ?? 0n); page++, at += PAGE_SIZE) {
        const address = (fieldOf(run, 1) ?? 0n) + page * BigInt(PAGE_SIZE);
        const mac = pageMac(token, stored.subarray(at, at + PAGE_SIZE), address);
        for (let index = 0; index < digest.length; index++) digest[index] = (digest[index] ?? 0) ^ (mac[index] ?? 0);
      }
    }
  }
  return digest;
}

function entriesOf(image: Buffer): Buffer[] {
  const entries: Buffer[] = [];
  for (let at = 8; at < image.length; at += 4 + (entries.at(-1)?.length ?? 0)) {
    entries.push(image.subarray(at + 4, at + 4 + image.readUInt32LE(at)));
  }
  return entries;
}

/** Returns a field of a message that is a number. */
function fieldOf(message: Buffer, wanted: number): bigint | undefined {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++] ?? 0;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const kind = Number(tag & 7n);
    const value = kind === 0 || kind === 2 ? varint() : 0n;
    if (Number(tag >> 3n) === wanted && kind === 0) return value;
    if (kind === 2) at += Number(value);
    else if (kind !== 0) at += kind === 1 ? 8 : 4;
  }
  return undefined;
}
