import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TlsAuthority } from './tls-authority.ts';

interface KeyServerOptions {
  readonly certFile: string;
  readonly keyFile: string;
  /** Whose clients are answered, where not every client is. */
  readonly clientsOf?: TlsAuthority;
}

/** A TLS server on the loopback interface. */
export class KeyServer {
  readonly #server: Server;
  /** The URLs that were asked for. */
  readonly asked: string[] = [];
  answer: RequestListener;

  private constructor({ certFile, keyFile, clientsOf }: KeyServerOptions, answer: RequestListener) {
    this.answer = answer;
    const clients =
      clientsOf === undefined
        ? {}
        : { ca: readFileSync(clientsOf.caFile), requestCert: true, rejectUnauthorized: true };
    this.#server = createServer(
      { cert: readFileSync(certFile), key: readFileSync(keyFile), ...clients },
      (request, response) => {
        this.asked.push(request.url ?? '');
        this.answer(request, response);
      },
    );
  }

  static async start(options: KeyServerOptions, answer: RequestListener): Promise<KeyServer> {
    const server = new KeyServer(options, answer);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get url(): string {
    return `https://127.0.0.1:${this.port}`;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
