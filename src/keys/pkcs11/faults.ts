import type { ErrorData } from '../../base/error-data.ts';
import { CkptfsError } from '../../base/errors.ts';

/** Return values of PKCS #11 v2.40 that are told apart, or named in messages (pkcs11t.h). */
export const CKR = {
  OK: 0x00,
  HOST_MEMORY: 0x02,
  SLOT_ID_INVALID: 0x03,
  GENERAL_ERROR: 0x05,
  FUNCTION_FAILED: 0x06,
  ARGUMENTS_BAD: 0x07,
  CANT_LOCK: 0x0a,
  ATTRIBUTE_SENSITIVE: 0x11,
  ATTRIBUTE_TYPE_INVALID: 0x12,
  ATTRIBUTE_VALUE_INVALID: 0x13,
  ACTION_PROHIBITED: 0x1b,
  DATA_INVALID: 0x20,
  DATA_LEN_RANGE: 0x21,
  DEVICE_ERROR: 0x30,
  DEVICE_MEMORY: 0x31,
  DEVICE_REMOVED: 0x32,
  ENCRYPTED_DATA_INVALID: 0x40,
  ENCRYPTED_DATA_LEN_RANGE: 0x41,
  FUNCTION_CANCELED: 0x50,
  FUNCTION_NOT_SUPPORTED: 0x54,
  KEY_HANDLE_INVALID: 0x60,
  KEY_SIZE_RANGE: 0x62,
  KEY_TYPE_INCONSISTENT: 0x63,
  KEY_FUNCTION_NOT_PERMITTED: 0x68,
  KEY_NOT_WRAPPABLE: 0x69,
  KEY_UNEXTRACTABLE: 0x6a,
  MECHANISM_INVALID: 0x70,
  MECHANISM_PARAM_INVALID: 0x71,
  OBJECT_HANDLE_INVALID: 0x82,
  PIN_INCORRECT: 0xa0,
  PIN_INVALID: 0xa1,
  PIN_LEN_RANGE: 0xa2,
  PIN_EXPIRED: 0xa3,
  PIN_LOCKED: 0xa4,
  SESSION_CLOSED: 0xb0,
  SESSION_COUNT: 0xb1,
  SESSION_HANDLE_INVALID: 0xb3,
  TEMPLATE_INCOMPLETE: 0xd0,
  TEMPLATE_INCONSISTENT: 0xd1,
  TOKEN_NOT_PRESENT: 0xe0,
  TOKEN_NOT_RECOGNIZED: 0xe1,
  UNWRAPPING_KEY_TYPE_INCONSISTENT: 0xf2,
  USER_ALREADY_LOGGED_IN: 0x100,
  USER_NOT_LOGGED_IN: 0x101,
  USER_PIN_NOT_INITIALIZED: 0x102,
  USER_ANOTHER_ALREADY_LOGGED_IN: 0x104,
  USER_TOO_MANY_TYPES: 0x105,
  WRAPPED_KEY_INVALID: 0x110,
  WRAPPED_KEY_LEN_RANGE: 0x112,
  WRAPPING_KEY_TYPE_INCONSISTENT: 0x115,
  BUFFER_TOO_SMALL: 0x150,
  CRYPTOKI_ALREADY_INITIALIZED: 0x191,
} as const;

type Reason = ErrorData<'key-unavailable'>['reason'];

const reasons: ReadonlyMap<number, Reason> = new Map<number, Reason>([
  ...([CKR.PIN_INCORRECT, CKR.PIN_INVALID, CKR.PIN_LEN_RANGE] as const).map((value) => [value, 'wrong-pin'] as const),
  [CKR.PIN_LOCKED, 'pin-locked'],
  ...(
    [
      CKR.SLOT_ID_INVALID,
      CKR.DEVICE_REMOVED,
      CKR.TOKEN_NOT_PRESENT,
      CKR.TOKEN_NOT_RECOGNIZED,
      CKR.SESSION_CLOSED,
      CKR.SESSION_HANDLE_INVALID,
    ] as const
  ).map((value) => [value, 'unreachable'] as const),
  ...(
    [CKR.KEY_FUNCTION_NOT_PERMITTED, CKR.USER_NOT_LOGGED_IN, CKR.ACTION_PROHIBITED, CKR.KEY_NOT_WRAPPABLE] as const
  ).map((value) => [value, 'denied'] as const),
]);

const names: ReadonlyMap<number, string> = new Map(Object.entries(CKR).map(([name, value]) => [value, `CKR_${name}`]));

/** A call of a module failed, or what it returned cannot be. */
export class ModuleFault extends Error {
  override readonly name = 'ModuleFault';
  /** What the function returned; undefined when it succeeded with something that cannot be. */
  readonly returned: number | undefined;

  constructor(call: string, returned: number | undefined, what = '') {
    super(`${call}: ${returned === undefined ? what : nameOf(returned)}`);
    this.returned = returned;
  }

  static garbage(call: string, what: string): ModuleFault {
    return new ModuleFault(call, undefined, what);
  }
}

/** Returns how pkcs11t.h calls a return value. */
function nameOf(value: number): string {
  return names.get(value) ?? `return value 0x${value.toString(16)}`;
}

/** Makes the error of a fault, for users. @param source names the key or token */
export function unavailable(source: string, fault: ModuleFault): CkptfsError {
  const { returned } = fault;
  const reason = returned === undefined ? 'garbage' : (reasons.get(returned) ?? 'refused');
  const said = reason === 'unreachable' ? 'the token was removed' : 'its module refuses';
  const found = reason === 'garbage' ? 'its module answers what cannot be' : said;
  return keyUnavailable(reason, `${source}: ${found} (${fault.message})`, fault);
}

export function keyUnavailable(reason: Reason, message: string, cause?: unknown): CkptfsError {
  return new CkptfsError('key-unavailable', message, { data: { reason }, cause });
}
