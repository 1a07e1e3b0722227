import { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { bindDeclared, type DeclaredFunctions } from './declared-functions.ts';

const P = 'uintptr_t';

/**
 * The functions of libcrypto that private keys need, as openssl/evp.h, ec.h, bn.h, x509.h, pkcs12.h, pem.h and err.h
 * (3.0) declare them: name, result, parameters. Pointers are numbers.
 */
const declarations = {
  pkeyFree: ['EVP_PKEY_free', 'void', [P]],
  pkeyFromRawPrivate: ['EVP_PKEY_new_raw_private_key', P, ['int', P, P, 'size_t']],
  pkeyFromRawPublic: ['EVP_PKEY_new_raw_public_key', P, ['int', P, P, 'size_t']],
  pkeyRawPrivate: ['EVP_PKEY_get_raw_private_key', 'int', [P, P, P]],
  pkeyRawPublic: ['EVP_PKEY_get_raw_public_key', 'int', [P, P, P]],
  contextFromName: ['EVP_PKEY_CTX_new_from_name', P, [P, 'str', P]],
  contextFromKey: ['EVP_PKEY_CTX_new_from_pkey', P, [P, P, P]],
  contextFree: ['EVP_PKEY_CTX_free', 'void', [P]],
  contextSet: ['EVP_PKEY_CTX_ctrl_str', 'int', [P, 'str', 'str']],
  fromDataInit: ['EVP_PKEY_fromdata_init', 'int', [P]],
  fromData: ['EVP_PKEY_fromdata', 'int', [P, P, 'int', P]],
  decryptInit: ['EVP_PKEY_decrypt_init', 'int', [P]],
  decrypt: ['EVP_PKEY_decrypt', 'int', [P, P, P, P, 'size_t']],
  deriveInit: ['EVP_PKEY_derive_init', 'int', [P]],
  deriveSetPeer: ['EVP_PKEY_derive_set_peer', 'int', [P, P]],
  derive: ['EVP_PKEY_derive', 'int', [P, P, P]],
  digestContextNew: ['EVP_MD_CTX_new', P, []],
  digestContextFree: ['EVP_MD_CTX_free', 'void', [P]],
  digestByName: ['EVP_get_digestbyname', P, ['str']],
  digest: ['EVP_Digest', 'int', [P, 'size_t', P, P, P, P]],
  signInit: ['EVP_DigestSignInit', 'int', [P, P, P, P, P]],
  sign: ['EVP_DigestSign', 'int', [P, P, P, P, 'size_t']],
  cipherPadding: ['EVP_CIPHER_CTX_set_padding', 'int', [P, 'int']],
  cipherFree: ['EVP_CIPHER_free', 'void', [P]],
  numberFromBytes: ['BN_bin2bn', P, [P, 'int', P]],
  numberSecureNew: ['BN_secure_new', P, []],
  numberFree: ['BN_clear_free', 'void', [P]],
  numberCompare: ['BN_ucmp', 'int', [P, P]],
  numberIsZero: ['BN_is_zero', 'int', [P]],
  curveGroup: ['EC_GROUP_new_by_curve_name', P, ['int']],
  groupFree: ['EC_GROUP_free', 'void', [P]],
  groupOrder: ['EC_GROUP_get0_order', P, [P]],
  pointNew: ['EC_POINT_new', P, [P]],
  pointFree: ['EC_POINT_free', 'void', [P]],
  pointMultiply: ['EC_POINT_mul', 'int', [P, P, P, P, P, P]],
  pointBytes: ['EC_POINT_point2oct', 'size_t', [P, P, 'int', P, 'size_t', P]],
  pkcs8Read: ['d2i_PKCS8_PRIV_KEY_INFO', P, [P, P, 'long']],
  pkcs8Free: ['PKCS8_PRIV_KEY_INFO_free', 'void', [P]],
  pkcs8Parts: ['PKCS8_pkey_get0', 'int', [P, P, P, P, P]],
  pkcs8EncryptedRead: ['d2i_X509_SIG', P, [P, P, 'long']],
  pkcs8EncryptedFree: ['X509_SIG_free', 'void', [P]],
  pkcs8Decrypt: ['PKCS8_decrypt', P, [P, P, 'int']],
  algorithmParts: ['X509_ALGOR_get0', 'void', [P, P, P, P]],
  objectNumber: ['OBJ_obj2nid', 'int', [P]],
  objectText: ['OBJ_obj2txt', 'int', [P, 'int', P, 'int']],
  pemCipherInfo: ['PEM_get_EVP_CIPHER_INFO', 'int', [P, P]],
  pemDecrypt: ['PEM_do_header', 'int', [P, P, P, P, P]],
  pkcs12Read: ['d2i_PKCS12', P, [P, P, 'long']],
  pkcs12Free: ['PKCS12_free', 'void', [P]],
  pkcs12HasMac: ['PKCS12_mac_present', 'int', [P]],
  pkcs12VerifyMac: ['PKCS12_verify_mac', 'int', [P, P, 'int']],
  pkcs12Safes: ['PKCS12_unpack_authsafes', P, [P]],
  pkcs12Bags: ['PKCS12_unpack_p7data', P, [P]],
  pkcs12EncryptedBags: ['PKCS12_unpack_p7encdata', P, [P, P, 'int']],
  bagKind: ['PKCS12_SAFEBAG_get_nid', 'int', [P]],
  bagKey: ['PKCS12_SAFEBAG_get0_p8inf', P, [P]],
  bagDecryptKey: ['PKCS12_decrypt_skey', P, [P, P, 'int']],
  bagSafes: ['PKCS12_SAFEBAG_get0_safes', P, [P]],
  stackSize: ['OPENSSL_sk_num', 'int', [P]],
  stackValue: ['OPENSSL_sk_value', P, [P, 'int']],
  stackPop: ['OPENSSL_sk_pop', P, [P]],
  stackFree: ['OPENSSL_sk_free', 'void', [P]],
  bagFree: ['PKCS12_SAFEBAG_free', 'void', [P]],
  pkcs7Free: ['PKCS7_free', 'void', [P]],
  pkcs7Object: ['OBJ_nid2obj', P, ['int']],
  errorTake: ['ERR_get_error', 'ulong', []],
  errorText: ['ERR_error_string_n', 'void', ['ulong', P, 'size_t']],
  errorsClear: ['ERR_clear_error', 'void', []],
} as const;

export type KeyLibrary = DeclaredFunctions<typeof declarations>;

let loaded: KeyLibrary | undefined;

/**
 * Returns the functions for private keys in the OpenSSL of this Node process.
 * @throws CkptfsError `missing-feature` when one of them is missing
 */
export function keyLibrary(): KeyLibrary {
  loaded ??= bindDeclared(declarations, 'private keys');
  return loaded;
}

/** Takes all errors out of OpenSSL's queue, and returns their texts. They hold names of functions, never data. */
export function takeOpenSslErrors(): string[] {
  const lib = keyLibrary();
  const texts: string[] = [];
  const text = new Region(256);
  for (let code = lib.errorTake(); code !== 0; code = lib.errorTake()) {
    lib.errorText(code, text.address, text.length);
    texts.push(text.bytes.toString('latin1', 0, text.bytes.indexOf(0)));
  }
  return texts;
}

/** Returns an error about a call that can only fail for want of memory or by a fault of ckptfs. */
export function openSslFailure(what: string): CkptfsError {
  const [first = ''] = takeOpenSslErrors();
  return new CkptfsError('internal', `OpenSSL: ${what} failed${first && `: ${first}`}`);
}
