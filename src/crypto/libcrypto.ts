import { bind, bindAsync } from '../base/linux/native.ts';

/** A pointer, for koffi. */
const POINTER = 'uintptr_t';

type Pointer = number;

/**
 * The functions of libcrypto that ckptfs calls, as openssl/crypto.h, evp.h and hmac.h (3.0) declare them. Pointers are
 * numbers.
 */
export interface LibCrypto {
  cipherFetch(library: Pointer, algorithm: string, properties: Pointer): Pointer;
  contextNew(): Pointer;
  contextFree(context: Pointer): void;
  contextControl(context: Pointer, command: number, argument: number, pointer: Pointer): number;
  cipherInit(context: Pointer, cipher: Pointer, engine: Pointer, key: Pointer, iv: Pointer, direction: number): number;
  cipherUpdate(context: Pointer, out: Pointer, outLength: Pointer, data: Pointer, length: number): number;
  cipherFinal(context: Pointer, out: Pointer, outLength: Pointer): number;
  digestFetch(library: Pointer, algorithm: string, properties: Pointer): Pointer;
  digest(data: Pointer, length: number, out: Pointer, outLength: Pointer, algorithm: Pointer, engine: Pointer): number;
  hmac(
    algorithm: Pointer,
    key: Pointer,
    keyLength: number,
    data: Pointer,
    length: number,
    out: Pointer,
    outLength: Pointer,
  ): Pointer;
  compare(a: Pointer, b: Pointer, length: number): number;
  clearErrors(): void;
}

/**
 * Binds OpenSSL 3 as this Node process carries it.
 * @throws Error when a function is missing: a Node built without OpenSSL, or with an older one
 */
export function loadLibCrypto(): LibCrypto {
  return {
    cipherFetch: bind('EVP_CIPHER_fetch', POINTER, [POINTER, 'str', POINTER]),
    contextNew: bind('EVP_CIPHER_CTX_new', POINTER, []),
    contextFree: bind('EVP_CIPHER_CTX_free', 'void', [POINTER]),
    contextControl: bind('EVP_CIPHER_CTX_ctrl', 'int', [POINTER, 'int', 'int', POINTER]),
    cipherInit: bind('EVP_CipherInit_ex', 'int', [POINTER, POINTER, POINTER, POINTER, POINTER, 'int']),
    cipherUpdate: bind('EVP_CipherUpdate', 'int', [POINTER, POINTER, POINTER, POINTER, 'int']),
    cipherFinal: bind('EVP_CipherFinal_ex', 'int', [POINTER, POINTER, POINTER]),
    digestFetch: bind('EVP_MD_fetch', POINTER, [POINTER, 'str', POINTER]),
    digest: bind('EVP_Digest', 'int', [POINTER, 'size_t', POINTER, POINTER, POINTER, POINTER]),
    hmac: bind('HMAC', POINTER, [POINTER, POINTER, 'int', POINTER, 'size_t', POINTER, POINTER]),
    compare: bind('CRYPTO_memcmp', 'int', [POINTER, POINTER, 'size_t']),
    clearErrors: bind('ERR_clear_error', 'void', []),
  };
}

/** PKCS5_PBKDF2_HMAC of openssl/evp.h, on another thread: it is slow on purpose. */
export type Pbkdf2 = (
  password: Pointer,
  passwordLength: number,
  salt: Pointer,
  saltLength: number,
  iterations: number,
  digest: Pointer,
  length: number,
  out: Pointer,
) => Promise<number>;

/** Binds what only passphrases need. @throws Error when it is missing */
export function loadPbkdf2(): Pbkdf2 {
  return bindAsync('PKCS5_PBKDF2_HMAC', 'int', [POINTER, 'int', POINTER, 'int', 'int', POINTER, 'int', POINTER]);
}
