import { Region } from '../../base/linux/native.ts';
import { Secret } from '../../crypto/secret.ts';
import { CKR, ModuleFault } from './faults.ts';
import type { FunctionList } from './function-list.ts';
import {
  CKA,
  CKF_RW_SESSION,
  CKF_SERIAL_SESSION,
  CKK,
  CKO,
  isUserSession,
  type Mechanism,
  readUlong,
  SESSION_INFO_SIZE,
  Template,
  ULONG_SIZE,
  UlongCell,
} from './structures.ts';

/** What a module returns for something that it cannot decrypt or unwrap, and some for any failure. */
const NOT_WRAPPED: ReadonlySet<number> = new Set([
  CKR.GENERAL_ERROR,
  CKR.FUNCTION_FAILED,
  CKR.DATA_INVALID,
  CKR.DATA_LEN_RANGE,
  CKR.ENCRYPTED_DATA_INVALID,
  CKR.ENCRYPTED_DATA_LEN_RANGE,
  CKR.WRAPPED_KEY_INVALID,
  CKR.WRAPPED_KEY_LEN_RANGE,
]);
/** What it returns for an attribute that an object does not have, or does not show. */
const NOT_SHOWN: ReadonlySet<number> = new Set([CKR.ATTRIBUTE_SENSITIVE, CKR.ATTRIBUTE_TYPE_INVALID]);

/** A session with a token. Its objects for a moment are keys of this session only, and are destroyed at once. */
export class Session {
  readonly #functions: FunctionList;
  readonly #handle: number;

  /** @throws ModuleFault */
  constructor(functions: FunctionList, slot: number, { writes = false } = {}) {
    const handle = new UlongCell();
    const flags = CKF_SERIAL_SESSION | (writes ? CKF_RW_SESSION : 0);
    functions.call('C_OpenSession', slot, flags, 0, 0, handle.address);
    this.#functions = functions;
    this.#handle = handle.value;
  }

  /** Returns whether this process is logged in to the token. @throws ModuleFault */
  isLoggedIn(): boolean {
    const info = new Region(SESSION_INFO_SIZE);
    this.#functions.call('C_GetSessionInfo', this.#handle, info.address);
    return isUserSession(info);
  }

  /** Logs in. @param pin undefined for a token with a keypad of its own @throws ModuleFault */
  login(user: number, pin: Secret | undefined): void {
    const region = pin && new Region(pin.bytes);
    const returned = this.#functions.try('C_Login', this.#handle, user, region?.address ?? 0, region?.length ?? 0);
    if (returned !== CKR.OK && returned !== CKR.USER_ALREADY_LOGGED_IN) throw new ModuleFault('C_Login', returned);
  }

  /** Finds objects, `max` of them at most. @throws ModuleFault */
  find(template: Template, max: number): number[] {
    this.#functions.call('C_FindObjectsInit', this.#handle, template.address, template.count);
    try {
      const found = new Region(ULONG_SIZE * max);
      const count = new UlongCell();
      this.#functions.call('C_FindObjects', this.#handle, found.address, max, count.address);
      if (count.value > max) throw ModuleFault.garbage('C_FindObjects', `${count.value} objects where ${max} fit`);
      return Array.from({ length: count.value }, (_, at) => readUlong(found, ULONG_SIZE * at));
    } finally {
      this.#functions.try('C_FindObjectsFinal', this.#handle);
    }
  }

  /** Returns an attribute of at most `max` bytes; undefined when an object does not show it. @throws ModuleFault */
  attribute(object: number, type: number, max: number): Buffer | undefined {
    const bytes = new Region(max);
    const length = this.#readAttribute(object, type, bytes.bytes);
    return length === undefined ? undefined : bytes.bytes.subarray(0, length);
  }

  /** Returns an attribute that is a number or a flag. @throws ModuleFault */
  numberAttribute(object: number, type: number): number | undefined {
    const bytes = new Region(ULONG_SIZE);
    const length = this.#readAttribute(object, type, bytes.bytes);
    if (length === undefined) return undefined;
    if (length === 1) return bytes.bytes[0];
    if (length !== ULONG_SIZE) throw ModuleFault.garbage('C_GetAttributeValue', `a number of ${length} bytes`);
    return readUlong(bytes, 0);
  }

  /** Decrypts at most `max` bytes. Undefined when it was not encrypted for the key. @throws ModuleFault */
  decrypt(mechanism: Mechanism, key: number, encrypted: Uint8Array, max: number): Secret | undefined {
    this.#functions.call('C_DecryptInit', this.#handle, mechanism.address, key);
    const [from, to, length] = [new Region(encrypted), Secret.zeros(max), new UlongCell(max)];
    try {
      const into = new Region(to.bytes);
      const args = [this.#handle, from.address, from.length, into.address, length.address];
      const returned = this.#functions.try('C_Decrypt', ...args);
      if (!this.#isUnwrapped('C_Decrypt', returned)) return undefined;
      if (length.value > max) throw ModuleFault.garbage('C_Decrypt', `${length.value} bytes where ${max} fit`);
      return length.value === 0 ? undefined : Secret.copy(to.bytes.subarray(0, length.value));
    } finally {
      to.wipe();
    }
  }

  /** Wraps a key of AES. Its bytes are given to the token for that. @returns at most `max` bytes @throws ModuleFault */
  wrap(mechanism: Mechanism, wrappingKey: number, key: Secret, max: number): Uint8Array {
    const template = new Template([...extractable(CKK.aes), [CKA.value, key.bytes]]);
    const object = new UlongCell();
    this.#functions.call('C_CreateObject', this.#handle, template.address, template.count, object.address);
    try {
      const [wrapped, length] = [new Region(max), new UlongCell(max)];
      const args = [this.#handle, mechanism.address, wrappingKey, object.value, wrapped.address, length.address];
      this.#functions.call('C_WrapKey', ...args);
      if (length.value > max) throw ModuleFault.garbage('C_WrapKey', `${length.value} bytes where ${max} fit`);
      return wrapped.bytes.subarray(0, length.value);
    } finally {
      this.#functions.try('C_DestroyObject', this.#handle, object.value);
    }
  }

  /** Unwraps a key of AES of `size` bytes. Undefined when it was not wrapped by the key. @throws ModuleFault */
  unwrap(mechanism: Mechanism, unwrappingKey: number, wrapped: Uint8Array, size: number): Secret | undefined {
    const [from, template, object] = [new Region(wrapped), new Template(extractable(CKK.aes)), new UlongCell()];
    const args = [mechanism.address, unwrappingKey, from.address, from.length, template.address, template.count];
    const returned = this.#functions.try('C_UnwrapKey', this.#handle, ...args, object.address);
    return this.#isUnwrapped('C_UnwrapKey', returned) ? this.#taken(object.value, size) : undefined;
  }

  /** Agrees on a secret of `size` bytes. Undefined when the token refuses the other key. @throws ModuleFault */
  derive(mechanism: Mechanism, key: number, size: number): Secret | undefined {
    const template = new Template([...extractable(CKK.genericSecret), [CKA.valueLength, size]]);
    const object = new UlongCell();
    const args = [this.#handle, mechanism.address, key, template.address, template.count, object.address];
    this.#functions.call('C_DeriveKey', ...args);
    return this.#taken(object.value, size);
  }

  /** Destroys an object of the token. @throws ModuleFault */
  destroy(object: number): void {
    this.#functions.call('C_DestroyObject', this.#handle, object);
  }

  /** Ends the session. The last one of a token logs out. */
  close(): void {
    this.#functions.try('C_CloseSession', this.#handle);
  }

  /** Takes the bytes of a key out of the token, which forgets it. Undefined when it has another size. */
  #taken(object: number, size: number): Secret | undefined {
    const key = Secret.zeros(size);
    let isTaken = false;
    try {
      isTaken = this.#readAttribute(object, CKA.value, key.bytes) === size;
      return isTaken ? key : undefined;
    } finally {
      if (!isTaken) key.wipe();
      this.#functions.try('C_DestroyObject', this.#handle, object);
    }
  }

  /** Reads an attribute, and returns its length; undefined when it is not shown. It may have fewer bytes than fit. */
  #readAttribute(object: number, type: number, into: Uint8Array): number | undefined {
    const template = new Template([[type, into]]);
    const returned = this.#functions.try('C_GetAttributeValue', this.#handle, object, template.address, 1);
    if (NOT_SHOWN.has(returned)) return undefined;
    if (returned !== CKR.OK) throw new ModuleFault('C_GetAttributeValue', returned);
    const { length } = template;
    if (length === undefined) return undefined;
    if (length > into.length) {
      throw ModuleFault.garbage('C_GetAttributeValue', `${length} bytes where ${into.length} fit`);
    }
    return length;
  }

  #isUnwrapped(name: 'C_Decrypt' | 'C_UnwrapKey', returned: number): boolean {
    if (returned === CKR.OK) return true;
    if (NOT_WRAPPED.has(returned)) return false;
    throw new ModuleFault(name, returned);
  }
}

/** A secret key of this session only, whose bytes can be read. */
function extractable(keyType: number): [number, number | boolean | Uint8Array][] {
  return [
    [CKA.class, CKO['secret-key']],
    [CKA.keyType, keyType],
    [CKA.token, false],
    [CKA.private, true],
    [CKA.sensitive, false],
    [CKA.extractable, true],
  ];
}
