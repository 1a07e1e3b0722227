import koffi from 'koffi';

/** Calls into the C library and into OpenSSL as this Node process already has them loaded; nothing else is opened. */
const process_ = koffi.load(null);

type NativeFunction = (...args: unknown[]) => number;

/**
 * Binds a C function of this process by name. Pointers are passed as numbers (`'uintptr_t'`), see {@link Region.address}.
 * @throws Error when the symbol does not exist.
 */
export function bind(name: string, result: string, parameters: readonly string[]): NativeFunction {
  return process_.func(name, result, [...parameters]) as NativeFunction;
}

/** The errno left by the last bound function called on this thread. */
export function lastErrno(): number {
  return koffi.errno();
}

/**
 * A piece of memory that never moves and whose address is known, so that native code can work on it without a conversion
 * per call. Over an existing buffer it shares the memory.
 */
export class Region {
  readonly bytes: Buffer;
  readonly view: DataView;
  /** Bytes. A field of its own: asking a Buffer for its length costs a call, and every bounds check asks. */
  readonly length: number;
  /** Of the first byte. Below 2^47 on every platform Node runs on, so exact as a number. */
  readonly address: number;

  /** @param memory a length in bytes (zeroed memory is made), or memory to share */
  constructor(memory: number | Uint8Array) {
    const source = typeof memory === 'number' ? Buffer.allocUnsafeSlow(memory).fill(0) : memory; // not secret: new
    this.bytes = Buffer.from(source.buffer, source.byteOffset, source.byteLength);
    this.view = new DataView(source.buffer, source.byteOffset, source.byteLength);
    this.length = source.byteLength;
    this.address = source.byteLength === 0 ? 0 : Number(koffi.address(this.bytes));
  }
}
