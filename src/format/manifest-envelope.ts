import { MalformedError } from '../base/bytes.ts';
import { type CipherName, cipherCode } from './ciphers.ts';
import { PAGE_SIZE } from './geometry.ts';
import { FORMAT_VERSION } from './header.ts';

/** The parts of the file `manifest` (format.md §5). */
interface ManifestEnvelope {
  /** 24 bytes. */
  readonly nonce: Uint8Array;
  /** The ciphertext, whole pages, followed by the 16-byte tag. */
  readonly sealed: Uint8Array;
}

export const MAX_MANIFEST_SIZE = 268_435_456;
export const MANIFEST_NONCE_SIZE = 24;
export const MANIFEST_TAG_SIZE = 16;
const MAGIC = Buffer.from('ckptmfst', 'latin1');
const PREFIX_SIZE = 16;

function prefix(): Buffer {
  const bytes = Buffer.alloc(PREFIX_SIZE);
  MAGIC.copy(bytes, 0);
  bytes.writeUInt32LE(FORMAT_VERSION, 8);
  return bytes;
}

/** Makes the additional data that binds a manifest to its image and geometry. @param imageId 16 bytes */
export function manifestAdditionalData(imageId: Uint8Array, cipher: CipherName, chunkSize: number): Buffer {
  return Buffer.concat([prefix(), imageId, Buffer.from([cipherCode(cipher), Math.log2(chunkSize)])]);
}

export function encodeManifestEnvelope({ nonce, sealed }: ManifestEnvelope): Buffer {
  return Buffer.concat([prefix(), nonce, sealed]);
}

/** Splits the file `manifest`. @throws MalformedError */
export function parseManifestEnvelope(bytes: Uint8Array): ManifestEnvelope {
  const start = PREFIX_SIZE + MANIFEST_NONCE_SIZE;
  const length = bytes.length - start - MANIFEST_TAG_SIZE;
  if (length < PAGE_SIZE || length % PAGE_SIZE !== 0) throw new MalformedError(`manifest of ${bytes.length} bytes`);
  if (!prefix().equals(bytes.subarray(0, PREFIX_SIZE))) throw new MalformedError('manifest begins with unknown bytes');
  return { nonce: bytes.subarray(PREFIX_SIZE, start), sealed: bytes.subarray(start) };
}
