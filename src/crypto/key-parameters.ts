import { Region } from '../base/linux/native.ts';
import { keyLibrary, takeOpenSslErrors } from './libcrypto-keys.ts';
import { Secret } from './secret.ts';

const NULL = 0;

/** openssl/evp.h: EVP_PKEY_PUBLIC_KEY, EVP_PKEY_KEYPAIR. */
export const SELECTION = { publicKey: 0x86, keyPair: 0x87 } as const;

/** openssl/core.h: the types of an OSSL_PARAM, and its size. */
const TYPE = { unsigned: 2, text: 4, octets: 5 } as const;
const PARAMETER_SIZE = 40;

export interface KeyParameters {
  /** By name, unsigned and big-endian, each of one byte or more. */
  readonly numbers: Readonly<Record<string, Uint8Array>>;
  readonly text?: { readonly name: string; readonly value: string };
  readonly octets?: { readonly name: string; readonly value: Uint8Array };
}

/**
 * Makes an EVP_PKEY of its parameters. Returns undefined when OpenSSL finds that they are no key, for example a point
 * that is not on its curve. The caller frees it.
 */
export function keyFromParameters(
  type: 'RSA' | 'EC',
  selection: number,
  { numbers, text, octets }: KeyParameters,
): number | undefined {
  const lib = keyLibrary();
  const copies: Secret[] = [];
  const list = new ParameterList();
  const made = new Region(8);
  let context = NULL;
  try {
    for (const [name, value] of Object.entries(numbers)) {
      const copy = Secret.copy(value);
      copies.push(copy);
      // In the byte order of the processor.
      list.add(name, TYPE.unsigned, copy.bytes.reverse());
    }
    // OpenSSL reads the text to its zero byte, which its length does not count.
    if (text !== undefined) list.add(text.name, TYPE.text, Buffer.from(`${text.value}\0`, 'latin1'), text.value.length);
    if (octets !== undefined) list.add(octets.name, TYPE.octets, octets.value);
    context = lib.contextFromName(NULL, type, NULL);
    const isMade =
      context !== NULL &&
      lib.fromDataInit(context) === 1 &&
      lib.fromData(context, made.address, selection, list.address()) === 1;
    if (isMade) return Number(made.view.getBigUint64(0, true));
    takeOpenSslErrors();
    return undefined;
  } finally {
    lib.contextFree(context);
    for (const copy of copies) copy.wipe();
    list.end();
  }
}

/** An array of OSSL_PARAM, and what its pointers lead to. */
class ParameterList {
  readonly #items: { name: Region; type: number; data: Region; length: number }[] = [];
  readonly #kept: Region[] = [];

  add(name: string, type: number, data: Uint8Array, length = data.length): void {
    this.#items.push({ name: new Region(Buffer.from(`${name}\0`, 'latin1')), type, data: new Region(data), length });
  }

  address(): number {
    const list = new Region((this.#items.length + 1) * PARAMETER_SIZE);
    this.#kept.push(list);
    this.#items.forEach(({ name, type, data, length }, at) => {
      const offset = at * PARAMETER_SIZE;
      list.view.setBigUint64(offset, BigInt(name.address), true);
      list.view.setUint32(offset + 8, type, true);
      list.view.setBigUint64(offset + 16, BigInt(data.address), true);
      list.view.setBigUint64(offset + 24, BigInt(length), true);
    });
    return list.address;
  }

  /** Says that nothing uses the addresses any more: until then the memory must not be collected. */
  end(): void {
    this.#items.length = 0;
    this.#kept.length = 0;
  }
}
