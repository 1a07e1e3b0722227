/**
 * What one worker has done, as numbers in memory that other threads may read: each field has one writer, so reading needs no lock and
 * may only be a little late.
 */
export const counterNames = [
  'requests',
  'bytesServed',
  'storedBytesRead',
  'cacheHits',
  'cacheMisses',
  'authenticationFailures',
] as const;

export type CounterName = (typeof counterNames)[number];

export class Counters {
  readonly #values: Float64Array;

  /** @param memory at least {@link Counters.byteLength} bytes, shared if another thread is to see the numbers */
  constructor(memory: ArrayBuffer | SharedArrayBuffer = new ArrayBuffer(Counters.byteLength)) {
    this.#values = new Float64Array(memory, 0, counterNames.length);
  }

  static readonly byteLength = counterNames.length * Float64Array.BYTES_PER_ELEMENT;

  add(name: CounterName, amount: number): void {
    const at = index[name];
    this.#values[at] = (this.#values[at] ?? 0) + amount;
  }

  get(name: CounterName): number {
    return this.#values[index[name]] ?? 0;
  }
}

/** Where each stands. Written out, since an object made at run time is slow to look things up in, and this is done at every read. */
const index: Readonly<Record<CounterName, number>> = {
  requests: 0,
  bytesServed: 1,
  storedBytesRead: 2,
  cacheHits: 3,
  cacheMisses: 4,
  authenticationFailures: 5,
};
