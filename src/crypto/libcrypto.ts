import { bind } from '../base/native.ts';

type Pointer = number;

/** The functions of libcrypto that ckptfs calls; signatures are those of openssl/evp.h and hmac.h (3.0), pointers numbers. */
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
  clearErrors(): void;
}

const pointer = 'uintptr_t';

/**
 * Binds OpenSSL 3 as this Node process carries it.
 * @throws Error when a function is missing: a Node built without OpenSSL, or with an older one
 */
export function loadLibCrypto(): LibCrypto {
  return {
    cipherFetch: bind('EVP_CIPHER_fetch', pointer, [pointer, 'str', pointer]),
    contextNew: bind('EVP_CIPHER_CTX_new', pointer, []),
    contextFree: bind('EVP_CIPHER_CTX_free', 'void', [pointer]),
    contextControl: bind('EVP_CIPHER_CTX_ctrl', 'int', [pointer, 'int', 'int', pointer]),
    cipherInit: bind('EVP_CipherInit_ex', 'int', [pointer, pointer, pointer, pointer, pointer, 'int']),
    cipherUpdate: bind('EVP_CipherUpdate', 'int', [pointer, pointer, pointer, pointer, 'int']),
    cipherFinal: bind('EVP_CipherFinal_ex', 'int', [pointer, pointer, pointer]),
    digestFetch: bind('EVP_MD_fetch', pointer, [pointer, 'str', pointer]),
    digest: bind('EVP_Digest', 'int', [pointer, 'size_t', pointer, pointer, pointer, pointer]),
    hmac: bind('HMAC', pointer, [pointer, pointer, 'int', pointer, 'size_t', pointer, pointer]),
    clearErrors: bind('ERR_clear_error', 'void', []),
  };
}
