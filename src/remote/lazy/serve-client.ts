import type net from 'node:net';
import { CkptfsError } from '../../base/errors.ts';
import { parseObject } from '../shared/json-object.ts';
import type { ImageBlocks } from './image-blocks.ts';
import {
  CONTROL,
  type ControlLine,
  type ControlQuestion,
  DATA,
  decodeRequest,
  encodeBlockHead,
  encodeFault,
  MAX_LINE_SIZE,
  MAX_QUESTION_SIZE,
  REQUEST_SIZE,
  TOUCHED,
  WANT,
} from './protocol.ts';

/** Lines that wait for the daemon to connect. */
const MAX_WAITING_LINES = 16;

/** Answers the clients of a fetcher (protocol.ts), as long as they keep to the protocol. */
export class Clients {
  readonly #blocks: ImageBlocks;
  readonly #daemons = new Set<net.Socket>();
  #waitingLines: ControlLine[] = [];

  constructor(blocks: ImageBlocks) {
    this.#blocks = blocks;
  }

  /** Talks to one until it leaves, or says what is no request. @throws Error of the connection */
  async serve(client: net.Socket): Promise<void> {
    const pieces: AsyncIterator<Buffer> = client[Symbol.asyncIterator]();
    const { value: first } = await pieces.next();
    if (first === undefined) return;
    const said = continued(first.subarray(1), pieces);
    if (first[0] === DATA) await this.#serveThread(client, said);
    else if (first[0] === CONTROL) await this.#serveDaemon(client, said);
  }

  /** Tells the daemon, or the one that will connect. */
  log(level: 'info' | 'warning', text: string): void {
    const line = { log: { level, text } };
    for (const daemon of this.#daemons) say(daemon, line);
    if (this.#daemons.size === 0) this.#waitingLines = [...this.#waitingLines, line].slice(-MAX_WAITING_LINES);
  }

  async #serveThread(client: net.Socket, said: AsyncIterable<Buffer>): Promise<void> {
    let left = Buffer.alloc(0);
    for await (const piece of said) {
      left = Buffer.concat([left, piece]);
      for (; left.length >= REQUEST_SIZE; left = left.subarray(REQUEST_SIZE)) {
        const { operation, block } = decodeRequest(left);
        if (block >= this.#blocks.count) return;
        if (operation === WANT) await this.#answer(client, block);
        else if (operation === TOUCHED) this.#blocks.touched(block);
        else return;
      }
    }
  }

  async #answer(client: net.Socket, block: number): Promise<void> {
    try {
      const packed = await this.#blocks.want(block);
      client.write(encodeBlockHead(packed.length));
      await written(client, packed);
    } catch (error) {
      const [code, message] =
        error instanceof CkptfsError ? [error.code, error.message] : ['io' as const, String(error)];
      await written(client, encodeFault(code, message));
    }
  }

  async #serveDaemon(client: net.Socket, said: AsyncIterable<Buffer>): Promise<void> {
    this.#daemons.add(client);
    try {
      for (const line of this.#waitingLines.splice(0)) say(client, line);
      let left = Buffer.alloc(0);
      for await (const piece of said) {
        left = Buffer.concat([left, piece]);
        for (let end = left.indexOf('\n'); end >= 0; end = left.indexOf('\n')) {
          const answer = this.#answerTo(parseObject(left.subarray(0, end).toString('utf8')));
          if (answer === undefined) return;
          say(client, answer);
          left = left.subarray(end + 1);
        }
        if (left.length > MAX_QUESTION_SIZE) return;
      }
    } finally {
      this.#daemons.delete(client);
    }
  }

  #answerTo(question: Partial<ControlQuestion> | undefined): ControlLine | undefined {
    if (question?.ask === 'status') return { status: this.#blocks.status() };
    if (question?.ask === 'profile') return { profile: this.#blocks.profile().toString('utf8') };
    return undefined;
  }
}

/** Sends a line to a daemon, unless it leaves so much unread that it does not listen. */
function say(daemon: net.Socket, line: ControlLine): void {
  if (daemon.writableLength > MAX_LINE_SIZE) daemon.destroy();
  else daemon.write(`${JSON.stringify(line)}\n`);
}

/** Sends bytes, and waits until they went to the kernel, so that a client that does not read is not answered. */
function written(client: net.Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    client.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

async function* continued(first: Buffer, pieces: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield first;
  for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) yield next.value;
}
