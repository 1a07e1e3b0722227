import { bindDeclared, type DeclaredFunctions } from './declared-functions.ts';

const P = 'uintptr_t';

/** What certificates need of libcrypto, as openssl/x509.h, x509_vfy.h, x509v3.h, bio.h and asn1.h (3.0) have it. */
const declarations = {
  certificateRead: ['d2i_X509', P, [P, P, 'long']],
  certificateWrite: ['i2d_X509', 'int', [P, P]],
  certificateFree: ['X509_free', 'void', [P]],
  subject: ['X509_get_subject_name', P, [P]],
  issuer: ['X509_get_issuer_name', P, [P]],
  notBefore: ['X509_get0_notBefore', P, [P]],
  notAfter: ['X509_get0_notAfter', P, [P]],
  keyUsage: ['X509_get_key_usage', 'uint32', [P]],
  extendedKeyUsage: ['X509_get_extended_key_usage', 'uint32', [P]],
  publicKey: ['X509_get0_pubkey', P, [P]],
  securityBits: ['EVP_PKEY_get_security_bits', 'int', [P]],
  authority: ['X509_check_ca', 'int', [P]],
  issued: ['X509_check_issued', 'int', [P, P]],
  responders: ['X509_get1_ocsp', P, [P]],
  textsFree: ['X509_email_free', 'void', [P]],

  crlRead: ['d2i_X509_CRL', P, [P, P, 'long']],
  crlFree: ['X509_CRL_free', 'void', [P]],
  crlIssuer: ['X509_CRL_get_issuer', P, [P]],
  crlNextUpdate: ['X509_CRL_get0_nextUpdate', P, [P]],
  crlSignature: ['X509_CRL_get_signature_nid', 'int', [P]],
  crlEntry: ['X509_CRL_get0_by_cert', 'int', [P, P, P]],
  revocationDate: ['X509_REVOKED_get0_revocationDate', P, [P]],
  revocationExtension: ['X509_REVOKED_get_ext_d2i', P, [P, 'int', P, P]],
  reasonText: ['OCSP_crl_reason_str', P, ['long']],
  signatureParts: ['OBJ_find_sigid_algs', 'int', ['int', P, P]],

  storeNew: ['X509_STORE_new', P, []],
  storeFree: ['X509_STORE_free', 'void', [P]],
  storeAddCertificate: ['X509_STORE_add_cert', 'int', [P, P]],
  storeAddCrl: ['X509_STORE_add_crl', 'int', [P, P]],
  storeParameters: ['X509_STORE_get0_param', P, [P]],
  contextNew: ['X509_STORE_CTX_new', P, []],
  contextFree: ['X509_STORE_CTX_free', 'void', [P]],
  contextInit: ['X509_STORE_CTX_init', 'int', [P, P, P, P]],
  contextParameters: ['X509_STORE_CTX_get0_param', P, [P]],
  contextError: ['X509_STORE_CTX_get_error', 'int', [P]],
  contextCertificate: ['X509_STORE_CTX_get_current_cert', P, [P]],
  contextChain: ['X509_STORE_CTX_get0_chain', P, [P]],
  verify: ['X509_verify_cert', 'int', [P]],
  errorText: ['X509_verify_cert_error_string', P, ['long']],
  setFlags: ['X509_VERIFY_PARAM_set_flags', 'int', [P, 'ulong']],
  setDepth: ['X509_VERIFY_PARAM_set_depth', 'void', [P, 'int']],
  setSecurityLevel: ['X509_VERIFY_PARAM_set_auth_level', 'void', [P, 'int']],
  setTime: ['X509_VERIFY_PARAM_set_time', 'void', [P, 'int64']],

  stackNew: ['OPENSSL_sk_new_null', P, []],
  stackPush: ['OPENSSL_sk_push', 'int', [P, P]],
  stackSize: ['OPENSSL_sk_num', 'int', [P]],
  stackValue: ['OPENSSL_sk_value', P, [P, 'int']],
  stackFree: ['OPENSSL_sk_free', 'void', [P]],

  memoryNew: ['BIO_new', P, [P]],
  memoryMethod: ['BIO_s_mem', P, []],
  memoryRead: ['BIO_read', 'int', [P, P, 'int']],
  memoryFree: ['BIO_free', 'int', [P]],
  nameWrite: ['X509_NAME_print_ex', 'int', [P, P, 'int', 'ulong']],
  timeParts: ['ASN1_TIME_to_tm', 'int', [P, P]],
  enumeratedValue: ['ASN1_ENUMERATED_get', 'long', [P]],
  stringFree: ['ASN1_STRING_free', 'void', [P]],
  textLength: ['OPENSSL_strnlen', 'size_t', [P, 'size_t']],
  clearErrors: ['ERR_clear_error', 'void', []],
} as const;

export type X509Library = DeclaredFunctions<typeof declarations>;

let loaded: X509Library | undefined;

/**
 * Returns the functions for certificates in the OpenSSL of this Node process.
 * @throws CkptfsError `missing-feature` when one of them is missing
 */
export function x509Library(): X509Library {
  loaded ??= bindDeclared(declarations, 'certificates');
  return loaded;
}
