import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { loadLibCrypto } from './libcrypto.ts';
import { keyLibrary, openSslFailure, takeOpenSslErrors } from './libcrypto-keys.ts';

const NULL = 0;
const OPEN = 0;
/** EVP_CTRL_AEAD_SET_TAG of openssl/evp.h. */
const SET_TAG = 0x11;

/** A cipher of OpenSSL, with a key and an initialisation vector of its sizes. */
export interface DecryptionParameters {
  /** `AES-256-CTR` */
  readonly cipher: string;
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
  /** Empty for a cipher that does not authenticate. */
  readonly tag: Uint8Array;
}

/**
 * Decrypts whole blocks without padding, once under its key. Returns false when the tag is wrong.
 * @param to gets as many bytes as `from` has
 */
export function decryptOnce({ cipher, key, iv, tag }: DecryptionParameters, from: Uint8Array, to: Uint8Array): boolean {
  const lib = loadLibCrypto();
  const algorithm = lib.cipherFetch(NULL, cipher, NULL);
  if (algorithm === NULL) {
    takeOpenSslErrors();
    throw new CkptfsError('missing-feature', `this OpenSSL has no ${cipher}`, { data: { feature: 'openssl' } });
  }
  const context = lib.contextNew();
  try {
    const [source, target, length] = [new Region(from), new Region(to), new Region(8)];
    const [keyRegion, ivRegion, tagRegion] = [new Region(key), new Region(iv), new Region(tag)];
    const isDone =
      lib.cipherInit(context, algorithm, NULL, keyRegion.address, ivRegion.address, OPEN) === 1 &&
      keyLibrary().cipherPadding(context, 0) === 1 &&
      (tag.length === 0 || lib.contextControl(context, SET_TAG, tag.length, tagRegion.address) === 1) &&
      lib.cipherUpdate(context, target.address, length.address, source.address, source.length) === 1;
    if (!isDone) throw openSslFailure('EVP_CipherUpdate');
    const isAuthentic = lib.cipherFinal(context, length.address, length.address) === 1;
    if (!isAuthentic) takeOpenSslErrors();
    return isAuthentic;
  } finally {
    lib.contextFree(context);
    keyLibrary().cipherFree(algorithm);
  }
}
