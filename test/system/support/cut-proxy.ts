import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** When a connection is cut: after so many bytes that one side has sent. */
export interface Cut {
  readonly from: 'client' | 'server';
  readonly afterBytes: number;
}

/** Passes bytes on to a port of this host, and cuts connections. */
export class CutProxy {
  /** How each connection is cut, in their order; the later ones are not. */
  cuts: Cut[] = [];
  /** Bytes that each side has sent over the connection that was made last. */
  passed = { client: 0, server: 0 };
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(port: number) {
    this.#server = createServer((client) => this.#join(client, connect(port, '127.0.0.1')));
  }

  static async start(port: number): Promise<CutProxy> {
    const proxy = new CutProxy(port);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #join(client: Socket, server: Socket): void {
    this.connections++;
    const cut = this.cuts.shift();
    const passed = { client: 0, server: 0 };
    this.passed = passed;
    const end = (): void => {
      for (const socket of [client, server]) {
        this.#sockets.delete(socket);
        socket.destroy();
      }
    };
    const pass = (side: Cut['from'], from: Socket, to: Socket): void => {
      this.#sockets.add(from);
      from.on('error', end).on('close', end);
      from.on('data', (chunk: Buffer) => {
        const left = cut?.from === side ? cut.afterBytes - passed[side] : chunk.length;
        to.write(chunk.subarray(0, left));
        passed[side] += Math.min(left, chunk.length);
        // What was written reaches the other side before the end of the connection does.
        if (left < chunk.length) to.end(end);
      });
    };
    pass('client', client, server);
    pass('server', server, client);
    if (cut?.afterBytes === 0) end();
  }
}
