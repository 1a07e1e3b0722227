import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type FetcherOrder, type FetcherReady, parseFetcherReport } from '../../../src/remote/lazy/fetcher-order.ts';
import {
  ANSWER_HEAD_SIZE,
  type ControlLine,
  type ControlQuestion,
  encodeRequest,
  TOUCHED,
  WANT,
} from '../../../src/remote/lazy/protocol.ts';
import { endOf, kill } from './children.ts';
import { inTime } from './patience.ts';

const program = fileURLToPath(new URL('../../../dist/bundle/fetcher.js', import.meta.url));

/** The built fetcher, as a command starts it. */
export class Fetcher {
  readonly child: ChildProcess;
  readonly ready: FetcherReady;

  private constructor(child: ChildProcess, ready: FetcherReady) {
    this.child = child;
    this.ready = ready;
  }

  /** @param before a command that starts it @throws what it reports */
  static async start(order: FetcherOrder, before: readonly string[] = []): Promise<Fetcher> {
    const [command = '', ...args] = [...before, process.execPath, program];
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'], cwd: '/', detached: true });
    child.stdin?.write(`${JSON.stringify(order)}\n`);
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    if (child.stdout !== null) await inTime('the report of a fetcher', once(child.stdout, 'end'));
    try {
      return new Fetcher(child, parseFetcherReport(text.trim()));
    } catch (error) {
      await endOf(child);
      throw error;
    }
  }

  /** Ends as the command does that started it. */
  letGo(): void {
    this.child.stdin?.end();
  }

  /** Lets go of it, and waits until it has ended. */
  async end(): Promise<number | null> {
    this.letGo();
    const [code] = await endOf(this.child);
    return code;
  }

  async kill(): Promise<void> {
    await kill(this.child, 'SIGKILL');
  }

  async connect(kind: 'c' | 'd'): Promise<Socket> {
    const socket = createConnection(this.ready.socket);
    await once(socket, 'connect');
    socket.write(kind);
    return socket;
  }

  async thread(): Promise<ThreadClient> {
    return new ThreadClient(await this.connect('d'));
  }

  /** Asks one question, over a connection of its own. */
  async ask(question: ControlQuestion): Promise<ControlLine> {
    const socket = await this.connect('c');
    try {
      socket.write(`${JSON.stringify(question)}\n`);
      for await (const line of createInterface(socket)) {
        const said = JSON.parse(line);
        if (!('log' in said)) return said;
      }
      throw new Error('the fetcher did not answer');
    } finally {
      socket.destroy();
    }
  }
}

/** An answer: a packed block, or the status and message of an error. */
export type Answer = { readonly packed: Buffer } | { readonly status: number; readonly message: string };

/** Asks for blocks as a serving thread does. */
export class ThreadClient {
  readonly socket: Socket;
  readonly #bytes: AsyncIterator<Buffer>;
  #left = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.socket = socket;
    this.#bytes = socket[Symbol.asyncIterator]();
  }

  async want(block: number): Promise<Answer> {
    this.socket.write(encodeRequest({ operation: WANT, block }));
    const head = await this.#read(ANSWER_HEAD_SIZE);
    const [status, body] = [head.readUInt32LE(0), await this.#read(head.readUInt32LE(4))];
    return status === 0 ? { packed: body } : { status, message: body.toString('utf8') };
  }

  touched(block: number): void {
    this.socket.write(encodeRequest({ operation: TOUCHED, block }));
  }

  close(): void {
    this.socket.destroy();
  }

  async #read(length: number): Promise<Buffer> {
    while (this.#left.length < length) {
      const { value } = await inTime('an answer of the fetcher', this.#bytes.next());
      if (value === undefined) throw new Error('the fetcher closed the connection');
      this.#left = Buffer.concat([this.#left, value]);
    }
    const bytes = this.#left.subarray(0, length);
    this.#left = this.#left.subarray(length);
    return bytes;
  }
}
