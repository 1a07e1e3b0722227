import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server of HTTP on the loopback interface that answers as a test wants. */
export class HttpServer {
  readonly #server: Server;
  /** Method and path of each request, and what it was let in by. */
  readonly asked: { readonly line: string; readonly authorization: string | undefined }[] = [];
  answer: RequestListener = (_request, response) => response.writeHead(404).end();

  private constructor() {
    this.#server = createServer((request, response) => {
      this.asked.push({ line: `${request.method} ${request.url}`, authorization: request.headers.authorization });
      this.answer(request, response);
    });
  }

  static async start(): Promise<HttpServer> {
    const server = new HttpServer();
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
