import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

/** One request that was passed on. */
export interface PassedRequest {
  readonly path: string;
  readonly range: string | undefined;
  /** Bytes of the answer. */
  readonly bytes: number;
}

const [IS_DOWN, DELAY, ROUND_TRIPS] = [0, 1, 2];
const WORDS = 4;

/** Passes requests on to a server of this host, counts them, and can be as if it were not there. */
export class RoundTripProxy {
  /** Host and port. */
  readonly host: string;
  readonly #thread: Worker;
  readonly #state: Int32Array;

  private constructor(thread: Worker, state: Int32Array, port: number) {
    this.#thread = thread;
    this.#state = state;
    this.host = `127.0.0.1:${port}`;
  }

  static async start(port: number): Promise<RoundTripProxy> {
    const memory = new SharedArrayBuffer(WORDS * Int32Array.BYTES_PER_ELEMENT);
    const thread = new Worker(new URL('./round-trip-proxy.mjs', import.meta.url), { workerData: { port, memory } });
    const [own] = (await once(thread, 'message')) as [number];
    return new RoundTripProxy(thread, new Int32Array(memory), own);
  }

  /** Makes it cut every request, or pass them on again. */
  set isDown(isDown: boolean) {
    Atomics.store(this.#state, IS_DOWN, isDown ? 1 : 0);
  }

  /** Milliseconds that each answer is kept back. */
  set delay(milliseconds: number) {
    Atomics.store(this.#state, DELAY, milliseconds);
  }

  /** How often a request came while no other one was waited for: round trips, where answers are kept back. */
  get roundTrips(): number {
    return Atomics.load(this.#state, ROUND_TRIPS);
  }

  async requests(): Promise<readonly PassedRequest[]> {
    this.#thread.postMessage('requests');
    const [requests] = (await once(this.#thread, 'message')) as [readonly PassedRequest[]];
    return requests;
  }

  /** Forgets what it has counted. */
  reset(): void {
    this.#thread.postMessage('reset');
    Atomics.store(this.#state, ROUND_TRIPS, 0);
  }

  async close(): Promise<void> {
    await this.#thread.terminate();
  }
}
