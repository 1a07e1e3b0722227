import { bindDeclared, type DeclaredFunctions } from './declared-functions.ts';

const P = 'uintptr_t';

/** What the protocol of RFC 6960 needs of libcrypto, as openssl/ocsp.h (3.0) has it. */
const declarations = {
  requestNew: ['OCSP_REQUEST_new', P, []],
  requestFree: ['OCSP_REQUEST_free', 'void', [P]],
  requestAdd: ['OCSP_request_add0_id', P, [P, P]],
  requestNonce: ['OCSP_request_add1_nonce', 'int', [P, P, 'int']],
  requestWrite: ['i2d_OCSP_REQUEST', 'int', [P, P]],
  certificateId: ['OCSP_cert_to_id', P, [P, P, P]],
  certificateIdFree: ['OCSP_CERTID_free', 'void', [P]],
  sha1: ['EVP_sha1', P, []],
  answerRead: ['d2i_OCSP_RESPONSE', P, [P, P, 'long']],
  answerFree: ['OCSP_RESPONSE_free', 'void', [P]],
  answerStatus: ['OCSP_response_status', 'int', [P]],
  answerBasic: ['OCSP_response_get1_basic', P, [P]],
  basicFree: ['OCSP_BASICRESP_free', 'void', [P]],
  basicAlgorithm: ['OCSP_resp_get0_tbs_sigalg', P, [P]],
  basicVerify: ['OCSP_basic_verify', 'int', [P, P, P, 'ulong']],
  checkNonce: ['OCSP_check_nonce', 'int', [P, P]],
  findStatus: ['OCSP_resp_find_status', 'int', [P, P, P, P, P, P, P]],
  algorithmParts: ['X509_ALGOR_get0', 'void', [P, P, P, P]],
  objectNumber: ['OBJ_obj2nid', 'int', [P]],
} as const;

export type OcspLibrary = DeclaredFunctions<typeof declarations>;

let loaded: OcspLibrary | undefined;

/**
 * Returns the functions for OCSP in the OpenSSL of this Node process.
 * @throws CkptfsError `missing-feature` when one of them is missing
 */
export function ocspLibrary(): OcspLibrary {
  loaded ??= bindDeclared(declarations, 'OCSP');
  return loaded;
}
