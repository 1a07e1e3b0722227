import { setImmediate } from 'node:timers/promises';
import { Region } from '../base/linux/native.ts';
import { wipe } from '../base/wipe.ts';
import { keyLibrary, openSslFailure } from './libcrypto-keys.ts';
import { Secret } from './secret.ts';

const NULL = 0;
const SHA512_SIZE = 64;
const HASH_SIZE = 32;

/**
 * Derives a key from a passphrase by bcrypt_pbkdf(3) of OpenBSD, which protects OpenSSH keys. The passphrase itself is
 * only read by OpenSSL. Between two rounds the event loop gets its turn. The caller wipes the result.
 */
export async function bcryptPbkdf(
  passphrase: Secret,
  salt: Uint8Array,
  rounds: number,
  length: number,
): Promise<Secret> {
  const { hash } = await import('bcrypt-pbkdf');
  const [work, derived] = [Secret.zeros(2 * SHA512_SIZE + 2 * HASH_SIZE), Secret.zeros(length)];
  const [password, salted] = [work.bytes.subarray(0, 64), work.bytes.subarray(64, 128)];
  const [hashed, sum] = [work.bytes.subarray(128, 160), work.bytes.subarray(160)];
  const counted = new Uint8Array(salt.length + 4);
  counted.set(salt);
  try {
    sha512(passphrase.bytes, password);
    const blocks = Math.ceil(length / HASH_SIZE);
    for (let block = 1; block <= blocks; block++) {
      new DataView(counted.buffer).setUint32(salt.length, block);
      sha512(counted, salted);
      wipe(sum);
      for (let round = 0; round < rounds; round++) {
        if (round > 0) sha512(hashed, salted);
        hash(password, salted, hashed);
        for (let i = 0; i < HASH_SIZE; i++) sum[i] = (sum[i] ?? 0) ^ (hashed[i] ?? 0);
        await setImmediate();
      }
      // The bytes of a block are spread over the key, so that each part of it depends on all blocks.
      for (let i = 0; i * blocks + block - 1 < length; i++) derived.bytes[i * blocks + block - 1] = sum[i] ?? 0;
    }
    return derived;
  } catch (error) {
    derived.wipe();
    throw error;
  } finally {
    work.wipe();
  }
}

function sha512(from: Uint8Array, to: Uint8Array): void {
  const lib = keyLibrary();
  const [source, target] = [new Region(from), new Region(to)];
  if (lib.digest(source.address, source.length, target.address, NULL, lib.digestByName('sha512'), NULL) !== 1) {
    throw openSslFailure('EVP_Digest');
  }
}
