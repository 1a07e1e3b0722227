import koffi from 'koffi';
import { memoryAt } from '../../src/base/linux/native.ts';
import { FunctionList } from '../../src/keys/pkcs11/function-list.ts';

/** What a function of a module does with its arguments, which are numbers; it returns a CK_RV. */
export type MadeFunction = (...args: number[]) => number;

/** Places in a CK_FUNCTION_LIST (pkcs11f.h), from 0, and how many arguments there are. */
const PLACES: Readonly<Record<string, readonly [place: number, count: number]>> = {
  C_Initialize: [0, 1],
  C_Finalize: [1, 1],
  C_GetInfo: [2, 1],
  C_GetSlotList: [4, 3],
  C_GetSlotInfo: [5, 2],
  C_GetTokenInfo: [6, 2],
  C_OpenSession: [12, 5],
  C_CloseSession: [13, 1],
  C_GetSessionInfo: [15, 2],
  C_Login: [18, 4],
  C_CreateObject: [20, 4],
  C_DestroyObject: [22, 2],
  C_GetAttributeValue: [24, 4],
  C_FindObjectsInit: [26, 3],
  C_FindObjects: [27, 4],
  C_FindObjectsFinal: [28, 1],
  C_DecryptInit: [33, 3],
  C_Decrypt: [34, 5],
  C_WrapKey: [60, 6],
  C_UnwrapKey: [61, 8],
  C_DeriveKey: [62, 6],
};

/** A module of PKCS #11 whose functions are JavaScript: it can do what no real one does. */
export class MadeModule {
  /** How often each function was called. */
  readonly calls = new Map<string, number>();
  readonly functions: FunctionList;
  readonly #list = Buffer.from(new ArrayBuffer(8 + 68 * 8));
  readonly #callbacks: bigint[] = [];

  /** @param made what is not given succeeds, and does nothing */
  constructor(made: Readonly<Record<string, MadeFunction>>, version = 2) {
    this.#list[0] = version;
    for (const [name, [place, count]] of Object.entries(PLACES)) {
      const prototype = koffi.proto('size_t', new Array(count).fill('size_t'));
      const callback = (...args: (number | bigint)[]): number => {
        this.calls.set(name, (this.calls.get(name) ?? 0) + 1);
        return made[name]?.(...args.map(Number)) ?? 0;
      };
      const address = koffi.register(callback, koffi.pointer(prototype));
      this.#callbacks.push(address);
      this.#list.writeBigUInt64LE(address, 8 + 8 * place);
    }
    this.functions = new FunctionList(Number(koffi.address(this.#list)));
  }

  dispose(): void {
    for (const callback of this.#callbacks) koffi.unregister(callback);
  }
}

/** Writes a CK_ULONG. */
export function putUlong(address: number, value: bigint | number): void {
  Buffer.from(memoryAt(address, 8).buffer).writeBigUInt64LE(BigInt(value));
}

/** Returns a CK_ULONG. */
export function ulongAt(address: number): number {
  return Number(Buffer.from(memoryAt(address, 8).buffer).readBigUInt64LE());
}

/** Writes a CK_TOKEN_INFO. */
export function putTokenInfo(address: number, label: string, flags: number): void {
  const info = memoryAt(address, 208);
  info.fill(0x20, 0, 96);
  info.set(Buffer.from(label), 0);
  info.set(Buffer.from('1'), 80);
  putUlong(address + 96, flags);
}
