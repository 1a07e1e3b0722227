/** What one worker counts. */
export const counterNames = [
  'requests',
  'bytesServed',
  'bytesServedAhead',
  'storedBytesRead',
  'cacheHits',
  'cacheMisses',
  'authenticationFailures',
] as const;

export type CounterName = (typeof counterNames)[number];

/** The field of each counter. A literal, because lookups in an object made at run time are slow, at every read. */
const INDEXES: Readonly<Record<CounterName, number>> = {
  requests: 0,
  bytesServed: 1,
  bytesServedAhead: 2,
  storedBytesRead: 3,
  cacheHits: 4,
  cacheMisses: 5,
  authenticationFailures: 6,
};

/**
 * The counts of one worker, in memory that other threads may read. Each field has one writer, so reading needs no lock;
 * a value may be slightly out of date.
 */
export class Counters {
  readonly #values: Float64Array;

  /** @param memory at least {@link Counters.byteLength} bytes, shared if another thread reads the numbers */
  constructor(memory: ArrayBuffer | SharedArrayBuffer = new ArrayBuffer(Counters.byteLength)) {
    this.#values = new Float64Array(memory, 0, counterNames.length);
  }

  static readonly byteLength = counterNames.length * Float64Array.BYTES_PER_ELEMENT;

  add(name: CounterName, amount: number): void {
    const index = INDEXES[name];
    this.#values[index] = (this.#values[index] ?? 0) + amount;
  }

  get(name: CounterName): number {
    return this.#values[INDEXES[name]] ?? 0;
  }
}
