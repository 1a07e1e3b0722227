import { isIP } from 'node:net';
import { connect, type SecureContext, type TLSSocket } from 'node:tls';
import { systemErrorName } from '../../base/errors.ts';
import { wipe } from '../../base/wipe.ts';
import { checkHost } from '../sources/https-certificates.ts';
import { tlsFault } from '../sources/tls-fault.ts';
import type { ServerAddress } from './address.ts';
import { IncomingMessage } from './incoming-message.ts';
import { ServerFailure } from './server-failure.ts';

/**
 * Suites with forward secrecy and authenticated encryption, since keys go over the connection; those of TLS 1.3 have
 * both.
 */
export const CIPHERS =
  'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:' +
  'ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM';

const PROBLEMS = {
  certificate: 'its certificate is not accepted',
  refused: 'it refuses the connection',
  garbage: 'it does not speak TLS as it must',
} as const;

interface Exchange {
  readonly message: IncomingMessage;
  readonly resolve: (message: Buffer) => void;
  readonly reject: (error: unknown) => void;
}

/** A connection to a server, over which one message at a time is asked and answered. */
export class Connection {
  readonly #socket: TLSSocket;
  #exchange: Exchange | undefined;
  /** Why it has ended. */
  #failure: ServerFailure | undefined;

  private constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    // Does not keep the process alive while nothing is asked.
    socket.unref();
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', (error) => this.#end(failureOf(error)));
    socket.on('close', () => this.#end(new ServerFailure('unreachable', 'it has ended the connection', true)));
  }

  /**
   * Connects, and believes the server by its certificate.
   * @throws ServerFailure; the reason of an abort
   */
  static open(address: ServerAddress, secureContext: SecureContext, signal: AbortSignal): Promise<Connection> {
    const { host, port } = address;
    const socket = connect({
      host,
      port,
      servername: isIP(host) === 0 ? host : '',
      secureContext,
      minVersion: 'TLSv1.2',
      checkServerIdentity: checkHost,
      // Not what NODE_TLS_REJECT_UNAUTHORIZED says.
      rejectUnauthorized: true,
    });
    return new Promise<Connection>((resolve, reject) => {
      const onAbort = (): void => {
        socket.destroy();
        reject(signal.reason);
      };
      const onFailure = (error?: unknown): void => {
        signal.removeEventListener('abort', onAbort);
        reject(error === undefined ? new ServerFailure('unreachable', 'no connection', true) : failureOf(error));
      };
      // Stays until the end: an error after an abort has no one else to hear it.
      socket.once('error', onFailure).once('close', () => onFailure());
      socket.once('secureConnect', () => {
        signal.removeEventListener('abort', onAbort);
        resolve(new Connection(socket));
      });
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /**
   * Sends a request, and returns the answer, whole and of bounded size, which the caller wipes.
   * @throws ServerFailure; the reason of an abort, which ends the connection
   */
  async exchange(request: Buffer, signal: AbortSignal): Promise<Buffer> {
    if (this.#failure !== undefined) throw this.#failure;
    const message = new IncomingMessage();
    let onAbort: (() => void) | undefined;
    try {
      return await new Promise<Buffer>((resolve, reject) => {
        onAbort = (): void => {
          reject(signal.reason);
          this.close();
        };
        if (signal.aborted) return onAbort();
        signal.addEventListener('abort', onAbort, { once: true });
        this.#exchange = { message, resolve, reject };
        this.#socket.ref();
        this.#socket.write(request);
      });
    } catch (error) {
      message.wipe();
      throw error;
    } finally {
      this.#exchange = undefined;
      this.#socket.unref();
      if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
    }
  }

  close(): void {
    this.#end(new ServerFailure('unreachable', 'the connection is closed', true));
  }

  #onData(chunk: Buffer): void {
    try {
      const exchange = this.#exchange;
      if (exchange === undefined) throw new ServerFailure('garbage', 'it answers what was not asked', false);
      const whole = exchange.message.take(chunk);
      if (whole === undefined) return;
      this.#exchange = undefined;
      exchange.resolve(whole);
    } catch (error) {
      this.#end(error instanceof ServerFailure ? error : failureOf(error));
    } finally {
      wipe(chunk);
    }
  }

  #end(failure: ServerFailure): void {
    this.#failure ??= failure;
    this.#socket.destroy();
    this.#exchange?.reject(this.#failure);
  }
}

function failureOf(error: unknown): ServerFailure {
  const code = systemErrorName(error) ?? String(error);
  const reason = tlsFault(code);
  if (reason !== undefined) return new ServerFailure(reason, `${PROBLEMS[reason]} (${code})`, false);
  return new ServerFailure('unreachable', `no connection (${code})`, true);
}
