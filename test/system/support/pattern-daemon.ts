import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Counter } from '../../../src/fuse/protocol/counters.ts';
import { inTime } from './patience.ts';
import { usualTransport } from './transports.ts';

const programs = {
  pattern: fileURLToPath(new URL('pattern-daemon.mjs', import.meta.url)),
  memory: fileURLToPath(new URL('memory-daemon.mjs', import.meta.url)),
};

/** One line of its output. */
export interface DaemonMessage {
  readonly mountPoint?: string;
  readonly device?: string;
  readonly ended?: boolean;
  readonly error?: string;
  readonly message?: string;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly fault?: string;
  readonly operation?: string;
  readonly counters?: readonly number[];
  /** Whether the mount is served over io_uring. */
  readonly overRing?: boolean;
  /** Why not, where it was to be. */
  readonly refusal?: string;
}

export interface DaemonSetup {
  /**
   * The file system of pattern-daemon.mjs, unless told that of memory-daemon.ts, which can be written and has one
   * worker.
   */
  readonly fileSystem?: keyof typeof programs;
  /** Default: io-uring in a run of the tests over io_uring (scripts/test), otherwise kernel. */
  readonly transport?: 'kernel' | 'io-uring' | 'fuse-native';
  readonly workers?: number;
  /** As the daemon hands them to the transport. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Run it as this user, from a copy of the program that this user can read. */
  readonly user?: { readonly uid: number; readonly program: string };
  readonly environment?: Readonly<Record<string, string>>;
  /** Program and arguments that run the rest. */
  readonly within?: readonly string[];
}

/** The process that serves a made-up file system. */
export class PatternDaemon {
  readonly messages: DaemonMessage[] = [];
  readonly process: ChildProcessWithoutNullStreams;
  readonly #news = new EventEmitter();
  readonly #mountPoint: string;
  #hasEnded = false;

  private constructor(mountPoint: string, setup: DaemonSetup) {
    const {
      fileSystem = 'pattern',
      transport = fileSystem === 'pattern' ? usualTransport : 'kernel',
      workers = 2,
      options = {},
      user,
      environment,
      within = [],
    } = setup;
    const serving = fileSystem === 'pattern' ? [transport, String(workers)] : [];
    const program = user?.program ?? programs[fileSystem];
    const node = [process.execPath, program, mountPoint, ...serving, JSON.stringify(options)];
    const as = user ? ['setpriv', `--reuid=${user.uid}`, `--regid=${user.uid}`, '--clear-groups'] : [];
    const [command = '', ...args] = [...within, ...as, ...node];
    this.process = spawn(command, args, { cwd: '/', env: { ...process.env, ...environment } });
    this.#mountPoint = mountPoint;
    // By then all that it said has been read.
    this.process.once('close', () => {
      this.#hasEnded = true;
      this.#news.emit('news');
    });
    // One that has ended is found out by what it does not answer.
    this.process.stdin.on('error', () => undefined);
    this.process.stderr.on('data', (text) => this.messages.push({ error: 'stderr', message: String(text) }));
    createInterface(this.process.stdout).on('line', (line) => {
      this.messages.push(JSON.parse(line));
      this.#news.emit('news');
    });
  }

  /** Resolves once it is mounted. @throws Error with what it said instead */
  static async mount(mountPoint: string, setup: DaemonSetup = {}): Promise<PatternDaemon> {
    const daemon = new PatternDaemon(mountPoint, setup);
    const first = await daemon.next((message) => message.mountPoint !== undefined || message.error !== undefined);
    if (first.mountPoint !== undefined) return daemon;
    daemon.process.kill('SIGKILL');
    throw new Error(JSON.stringify(daemon.messages));
  }

  /** What a daemon that cannot mount says. */
  static async refusal(mountPoint: string, setup: DaemonSetup = {}): Promise<DaemonMessage> {
    const daemon = new PatternDaemon(mountPoint, setup);
    const first = await daemon.next((message) => message.mountPoint !== undefined || message.message !== undefined);
    if (first.mountPoint !== undefined) {
      await daemon.unmount();
      throw new Error('it was mounted');
    }
    await daemon.exited;
    return first;
  }

  /** Its exit code, once it has ended. */
  get exited(): Promise<number | null> {
    return this.#end();
  }

  /** The first message, of those to come as well, that fits. @throws Error with all of them when none comes */
  async next(fits: (message: DaemonMessage) => boolean): Promise<DaemonMessage> {
    while (true) {
      const found = this.messages.find(fits);
      if (found) return found;
      if (this.#hasEnded) throw new Error(`the daemon ended: ${JSON.stringify(this.messages)}`);
      await this.#hears('a message');
    }
  }

  /** Requests since the start: of one opcode, or all. */
  async requests(opcode?: number): Promise<number> {
    this.messages.length = 0;
    this.process.stdin.write('counters\n');
    const { counters = [] } = await this.next((message) => message.counters !== undefined);
    return counters[opcode === undefined ? Counter.requests : Counter.opcodes + opcode] ?? 0;
  }

  /** Has the daemon unmount its own mount, and waits for its end. @throws Error with what it says when it cannot */
  async unmount(): Promise<void> {
    const before = new Set(this.messages);
    this.process.stdin.write('unmount\n');
    const isAnswer = ({ ended, error }: DaemonMessage): boolean =>
      ended === true || (error !== undefined && error !== 'stderr');
    const answer = await this.next((message) => !before.has(message) && isAnswer(message));
    if (answer.ended !== true) throw new Error(`it was not unmounted: ${JSON.stringify(answer)}`);
    if ((await this.exited) !== 0) throw new Error(JSON.stringify(this.messages));
  }

  async #end(): Promise<number | null> {
    while (!this.#hasEnded) await this.#hears('the end');
    return this.process.exitCode;
  }

  async #hears(what: string): Promise<void> {
    try {
      await inTime(`${what} of the daemon on ${this.#mountPoint}`, once(this.#news, 'news'));
    } catch (cause) {
      throw new Error(`${String(cause)}, which said ${JSON.stringify(this.messages)}`, { cause });
    }
  }
}
