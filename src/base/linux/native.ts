import koffi from 'koffi';

/** The C library and OpenSSL as this Node process has them loaded already. */
const loadedLibraries = koffi.load(null);

/** koffi unloads a library that is collected, whose code others may still call by address. */
const openedLibraries: ReturnType<typeof koffi.load>[] = [];

type NativeFunction = (...args: unknown[]) => number;

/**
 * Binds a C function of this process by name. Pointers are passed as numbers (`'uintptr_t'`), see
 * {@link Region.address}.
 * @throws Error when the symbol does not exist
 */
export function bind(name: string, result: string, parameters: readonly string[]): NativeFunction {
  return loadedLibraries.func(name, result, [...parameters]) as NativeFunction;
}

/** Like {@link bind}, for a function that may wait: it is called on another thread. */
export function bindAsync(
  name: string,
  result: string,
  parameters: readonly string[],
): (...args: unknown[]) => Promise<number> {
  const bound = loadedLibraries.func(name, result, [...parameters]);
  return (...args) =>
    new Promise((resolve, reject) => {
      bound.async(...args, (error: Error | null, value: number) => (error ? reject(error) : resolve(value)));
    });
}

/**
 * Opens a further library, which is never closed. It finds what it needs in the libraries that it asks for before it
 * looks in this process: Node has an OpenSSL of its own, of another version.
 * @param path absolute, or a name that the dynamic linker looks for
 * @returns binds a function of it, as {@link bind} does
 * @throws Error when the file is no library that can be loaded here
 */
export function openLibrary(path: string): typeof bind {
  const library = koffi.load(path, { deep: true });
  openedLibraries.push(library);
  return (name, result, parameters) => library.func(name, result, [...parameters]) as NativeFunction;
}

/** Binds a function whose address is known, as {@link bind} does. */
export function bindAddress(address: number, result: string, parameters: readonly string[]): NativeFunction {
  const prototype = koffi.proto(result, [...parameters]);
  return (...args) => koffi.call(address, prototype, ...args) as number;
}

/** Returns the errno of the bound function that this thread called last. */
export function lastErrno(): number {
  return koffi.errno();
}

/**
 * Memory that never moves and whose address is known, so that native code works on it without a conversion per call.
 * A region over an existing buffer shares its memory.
 */
export class Region {
  readonly bytes: Buffer;
  readonly view: DataView;
  /** In bytes. A field of its own, because the length of a Buffer costs a call, and every bounds check needs it. */
  readonly length: number;
  /** The address of the first byte: below 2^47 on every platform of Node, so exact as a number. */
  readonly address: number;

  /** @param memory a length in bytes (zeroed memory is made), or memory to share */
  constructor(memory: number | Uint8Array) {
    // An ArrayBuffer, unlike a Buffer made by length, gets zeros from the system page by page as it is touched.
    const source = typeof memory === 'number' ? new Uint8Array(new ArrayBuffer(memory)) : memory;
    this.bytes = Buffer.from(source.buffer, source.byteOffset, source.byteLength);
    this.view = new DataView(source.buffer, source.byteOffset, source.byteLength);
    this.length = source.byteLength;
    this.address = source.byteLength === 0 ? 0 : Number(koffi.address(this.bytes));
  }
}

/** Returns memory of this process that native code has, as an array over it. Must not be used once that is unmapped. */
export function memoryAt(address: number, length: number): Uint8Array {
  return new Uint8Array(koffi.view(address, length));
}
