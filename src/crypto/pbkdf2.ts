import { Region } from '../base/linux/native.ts';
import { loadPbkdf2 } from './libcrypto.ts';

/**
 * Fills `out` by PBKDF2 with HMAC, on another thread.
 * @param digest an EVP_MD
 * @returns whether OpenSSL did
 */
export async function pbkdf2(
  digest: number,
  password: Uint8Array,
  salt: Uint8Array,
  iterations: number,
  out: Uint8Array,
): Promise<boolean> {
  // Bound when it is needed, as few mounts have a passphrase. The regions keep the memory while the thread works.
  const derive = loadPbkdf2();
  const [from, salted, to] = [new Region(password), new Region(salt), new Region(out)];
  const done = await derive(
    from.address,
    from.length,
    salted.address,
    salted.length,
    iterations,
    digest,
    to.length,
    to.address,
  );
  return done === 1;
}
