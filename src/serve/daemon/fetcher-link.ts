import net from 'node:net';
import { Deadline } from '../../base/deadline.ts';
import { type Settleable, settleable } from '../../base/settleable.ts';
import { type ControlQuestion, MAX_LINE_SIZE } from '../../remote/lazy/protocol.ts';
import { type FetcherCounts, fetcherCountsIn } from '../control/control-messages.ts';
import type { Log } from './log.ts';

/** How long an answer is waited for: who asks for a status waits not much longer itself. */
const STATUS_MILLISECONDS = 2000;
const PROFILE_MILLISECONDS = 20_000;
/** Who leaves so many questions open answers no further one. */
const MAX_OPEN_QUESTIONS = 16;

/** The daemon's own connection to the process that fetches. Writes into the log what that has to say. */
export class FetcherLink {
  readonly url: string;
  readonly #socket: net.Socket;
  readonly #log: Log;
  /** Questions without an answer yet, in their order. */
  readonly #asked: Settleable<unknown>[] = [];
  #isClosing = false;
  #hasEnded = false;

  /** @param fd a connection on which it was said that it is for control; it is closed by {@link close} */
  constructor(fd: number, url: string, log: Log) {
    this.url = url;
    this.#log = log;
    this.#socket = new net.Socket({ fd, readable: true, writable: true });
    this.#socket.on('error', () => this.#socket.destroy());
    this.#socket.on('close', () => this.#ended());
    this.#socket.unref();
    this.#receive();
  }

  /** Returns what it did so far; undefined when it does not say so in time. Never throws. */
  async counts(): Promise<FetcherCounts | undefined> {
    return fetcherCountsIn(memberOf(await this.#ask({ ask: 'status' }, STATUS_MILLISECONDS), 'status'));
  }

  /** Returns which blocks were read, in which order, as a profile; undefined when it does not say so. Never throws. */
  async profile(): Promise<string | undefined> {
    const profile = memberOf(await this.#ask({ ask: 'profile' }, PROFILE_MILLISECONDS), 'profile');
    return typeof profile === 'string' ? profile : undefined;
  }

  close(): void {
    this.#isClosing = true;
    this.#socket.destroy();
  }

  #ask(question: ControlQuestion, milliseconds: number): Promise<unknown> {
    if (this.#hasEnded || this.#asked.length === MAX_OPEN_QUESTIONS) return Promise.resolve(undefined);
    const asked = settleable<unknown>();
    this.#asked.push(asked);
    this.#socket.write(`${JSON.stringify(question)}\n`);
    return Deadline.after(milliseconds).wait(asked.promise);
  }

  #receive(): void {
    let text = '';
    this.#socket.setEncoding('utf8').on('data', (part: string) => {
      const lines = `${text}${part}`.split('\n');
      text = lines.pop() ?? '';
      if (text.length > MAX_LINE_SIZE) this.#socket.destroy();
      for (const line of lines) this.#onLine(parsed(line));
    });
  }

  #onLine(message: unknown): void {
    const log = memberOf(message, 'log');
    if (log === undefined) this.#asked.shift()?.resolve(message);
    const text = memberOf(log, 'text');
    if (typeof text === 'string') this.#log.write(memberOf(log, 'level') === 'info' ? 'info' : 'warning', text);
  }

  #ended(): void {
    this.#hasEnded = true;
    for (const asked of this.#asked.splice(0)) asked.resolve(undefined);
    if (this.#isClosing) return;
    this.#log.error(`${this.url}: the process that fetches it has ended; what is in the cache can still be read`);
  }
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}
