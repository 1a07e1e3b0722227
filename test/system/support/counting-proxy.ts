import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A range that was asked for. */
export interface AskedRange {
  readonly path: string;
  readonly start: number;
  /** The byte after it. */
  readonly end: number;
}

/** A proxy before a server of HTTP, which knows which ranges were asked for, and can be told not to answer. */
export class CountingProxy {
  readonly ranges: AskedRange[] = [];
  /** Ends each connection at once. */
  isGone = false;
  /** Is waited for before a range is given out. */
  gate: Promise<void> = Promise.resolve();
  readonly #server: Server;
  readonly #target: string;

  private constructor(target: string) {
    this.#target = target;
    this.#server = createServer((asked, answer) => void this.#pass(asked, answer));
  }

  /** @param target host and port */
  static async start(target: string): Promise<CountingProxy> {
    const proxy = new CountingProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  /** Host and port. */
  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #pass(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    if (this.isGone) {
      asked.socket.destroy();
      return;
    }
    const path = asked.url ?? '';
    const [, start, last] = /^bytes=(\d+)-(\d+)$/.exec(asked.headers.range ?? '') ?? [];
    if (start !== undefined) {
      this.ranges.push({ path, start: Number(start), end: Number(last) + 1 });
      await this.gate;
    }
    const { method, headers } = asked;
    const passed = request(`http://${this.#target}${path}`, { method, headers, agent: false }, (got) => {
      answer.writeHead(got.statusCode ?? 500, got.headers);
      got.pipe(answer);
    });
    for (const one of [passed, answer]) one.on('error', () => answer.destroy());
    asked.pipe(passed);
  }
}
