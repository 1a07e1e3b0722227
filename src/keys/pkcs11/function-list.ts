import { bindAddress, memoryAt, openLibrary, Region } from '../../base/linux/native.ts';
import { CKR, ModuleFault } from './faults.ts';
import { readUlong, ULONG_SIZE, UlongCell } from './structures.ts';

const ULONG = 'size_t';
const POINTER = 'uintptr_t';
const BYTE = 'uint8_t';

/** The functions that are used: their places in a CK_FUNCTION_LIST (pkcs11f.h), from 0, and their parameters. */
const functions = {
  C_Initialize: [0, [POINTER]],
  C_Finalize: [1, [POINTER]],
  C_GetInfo: [2, [POINTER]],
  C_GetSlotList: [4, [BYTE, POINTER, POINTER]],
  C_GetSlotInfo: [5, [ULONG, POINTER]],
  C_GetTokenInfo: [6, [ULONG, POINTER]],
  C_OpenSession: [12, [ULONG, ULONG, POINTER, POINTER, POINTER]],
  C_CloseSession: [13, [ULONG]],
  C_GetSessionInfo: [15, [ULONG, POINTER]],
  C_Login: [18, [ULONG, ULONG, POINTER, ULONG]],
  C_CreateObject: [20, [ULONG, POINTER, ULONG, POINTER]],
  C_DestroyObject: [22, [ULONG, ULONG]],
  C_GetAttributeValue: [24, [ULONG, ULONG, POINTER, ULONG]],
  C_FindObjectsInit: [26, [ULONG, POINTER, ULONG]],
  C_FindObjects: [27, [ULONG, POINTER, ULONG, POINTER]],
  C_FindObjectsFinal: [28, [ULONG]],
  C_DecryptInit: [33, [ULONG, POINTER, ULONG]],
  C_Decrypt: [34, [ULONG, POINTER, ULONG, POINTER, POINTER]],
  C_WrapKey: [60, [ULONG, POINTER, ULONG, ULONG, POINTER, POINTER]],
  C_UnwrapKey: [61, [ULONG, POINTER, ULONG, POINTER, ULONG, POINTER, ULONG, POINTER]],
  C_DeriveKey: [62, [ULONG, POINTER, ULONG, POINTER, ULONG, POINTER]],
} as const;

export type FunctionName = keyof typeof functions;

/** The version comes first, in 2 bytes that are padded to 8. */
const FIRST_POINTER = 8;
const LIST_SIZE = FIRST_POINTER + 68 * ULONG_SIZE;

/** The functions of a module (CK_FUNCTION_LIST). They are called on this thread: a token that is slow stops it. */
export class FunctionList {
  readonly #list: Region;
  readonly #bound = new Map<FunctionName, (...args: unknown[]) => number>();

  /** @param address of a CK_FUNCTION_LIST, which must stay */
  constructor(address: number) {
    this.#list = new Region(memoryAt(address, LIST_SIZE));
    // Later versions have the same functions in the same places; a module that has them says 2.40 here.
    if (this.#list.bytes[0] !== 2 && this.#list.bytes[0] !== 3) {
      throw ModuleFault.garbage('C_GetFunctionList', `it is of version ${this.#list.bytes[0]} of PKCS #11`);
    }
  }

  /** Loads a module, whose code runs from then on. @throws Error when it is none; ModuleFault */
  static load(path: string): FunctionList {
    const list = new UlongCell();
    const returned = openLibrary(path)('C_GetFunctionList', ULONG, [POINTER])(list.address);
    if (returned !== CKR.OK) throw new ModuleFault('C_GetFunctionList', returned);
    if (list.value === 0) throw ModuleFault.garbage('C_GetFunctionList', 'there is no list');
    return new FunctionList(list.value);
  }

  /** Calls a function. Returns what it returned: a number of {@link CKR}. */
  try(name: FunctionName, ...args: readonly number[]): number {
    return Number(this.#function(name)(...args));
  }

  /** Calls a function. @throws ModuleFault unless it succeeds */
  call(name: FunctionName, ...args: readonly number[]): void {
    const returned = this.try(name, ...args);
    if (returned !== CKR.OK) throw new ModuleFault(name, returned);
  }

  #function(name: FunctionName): (...args: unknown[]) => number {
    const bound = this.#bound.get(name);
    if (bound !== undefined) return bound;
    const [index, parameters] = functions[name];
    const address = readUlong(this.#list, FIRST_POINTER + ULONG_SIZE * index);
    if (address === 0) throw new ModuleFault(name, CKR.FUNCTION_NOT_SUPPORTED);
    const made = bindAddress(address, ULONG, parameters);
    this.#bound.set(name, made);
    return made;
  }
}
