/** Numbers that KMIP gives to what messages have (KMIP 2.0 §11; those of 1.x are the same). */

export const tag = {
  attribute: 0x420008,
  attributeName: 0x42000a,
  attributeValue: 0x42000b,
  batchCount: 0x42000d,
  batchItem: 0x42000f,
  blockCipherMode: 0x420011,
  cryptographicAlgorithm: 0x420028,
  cryptographicLength: 0x42002a,
  cryptographicParameters: 0x42002b,
  cryptographicUsageMask: 0x42002c,
  ivCounterNonce: 0x42003d,
  keyBlock: 0x420040,
  keyFormatType: 0x420042,
  keyMaterial: 0x420043,
  keyValue: 0x420045,
  leaseTime: 0x420049,
  maximumItems: 0x42004f,
  name: 0x420053,
  nameType: 0x420054,
  nameValue: 0x420055,
  objectType: 0x420057,
  operation: 0x42005c,
  protocolVersion: 0x420069,
  protocolVersionMajor: 0x42006a,
  protocolVersionMinor: 0x42006b,
  queryFunction: 0x420074,
  requestHeader: 0x420077,
  requestMessage: 0x420078,
  requestPayload: 0x420079,
  responseHeader: 0x42007a,
  responseMessage: 0x42007b,
  responsePayload: 0x42007c,
  resultMessage: 0x42007d,
  resultReason: 0x42007e,
  resultStatus: 0x42007f,
  revocationMessage: 0x420080,
  revocationReason: 0x420081,
  revocationReasonCode: 0x420082,
  state: 0x42008d,
  symmetricKey: 0x42008f,
  templateAttribute: 0x420091,
  uniqueIdentifier: 0x420094,
  data: 0x4200c2,
  tagLength: 0x4200ce,
  authenticatedEncryptionAdditionalData: 0x4200fe,
  authenticatedEncryptionTag: 0x4200ff,
  /** From version 2.0 on. */
  attributes: 0x420125,
} as const;

export const operation = {
  create: 0x01,
  locate: 0x08,
  get: 0x0a,
  getAttributes: 0x0b,
  obtainLease: 0x10,
  activate: 0x12,
  revoke: 0x13,
  destroy: 0x14,
  query: 0x18,
  discoverVersions: 0x1e,
  encrypt: 0x1f,
  decrypt: 0x20,
} as const;

export type OperationName = keyof typeof operation;

export const resultStatus = { success: 0 } as const;

export const resultReason = {
  itemNotFound: 0x01,
  authenticationNotSuccessful: 0x03,
  cryptographicFailure: 0x0a,
  permissionDenied: 0x0c,
  internalServerError: 0x2a,
  objectDestroyed: 0x36,
  objectNotFound: 0x37,
  notAuthorised: 0x39,
  serverLimitExceeded: 0x3a,
} as const;

/** The states of a key, by their numbers from 1. */
export const keyStates = [
  'pre-active',
  'active',
  'deactivated',
  'compromised',
  'destroyed',
  'destroyed-compromised',
] as const;
export type KeyState = (typeof keyStates)[number];

/** Why a key is revoked, by the numbers from 1. */
export const revocationReasons = [
  'unspecified',
  'key-compromise',
  'ca-compromise',
  'affiliation-changed',
  'superseded',
  'cessation-of-operation',
  'privilege-withdrawn',
] as const;
export type RevocationReason = (typeof revocationReasons)[number];

export const AES = 3;
export const GCM = 9;
export const SYMMETRIC_KEY = 2;
export const RAW_KEY = 1;
export const UNINTERPRETED_NAME = 1;
export const QUERY_OPERATIONS = 1;
export const usageMask = { encrypt: 0x04, decrypt: 0x08, wrapKey: 0x10, unwrapKey: 0x20 } as const;
