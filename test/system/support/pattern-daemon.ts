import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Counter } from '../../../src/fuse/protocol/counters.ts';
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
  readonly exited: Promise<number | null>;
  #wake: () => void = () => undefined;

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
    this.exited = new Promise((resolve) => {
      this.process.once('exit', (code) => {
        resolve(code);
        this.#wake();
      });
    });
    this.process.stderr.on('data', (text) => this.messages.push({ error: 'stderr', message: String(text) }));
    createInterface(this.process.stdout).on('line', (line) => {
      this.messages.push(JSON.parse(line));
      this.#wake();
    });
  }

  /** Resolves once it is mounted. @throws Error with what it said instead */
  static async mount(mountPoint: string, setup: DaemonSetup = {}): Promise<PatternDaemon> {
    const daemon = new PatternDaemon(mountPoint, setup);
    const first = await daemon.next((message) => message.mountPoint !== undefined || message.error !== undefined);
    if (first.mountPoint === undefined) throw new Error(JSON.stringify(daemon.messages));
    return daemon;
  }

  /** What a daemon that cannot mount says. */
  static async refusal(mountPoint: string, setup: DaemonSetup = {}): Promise<DaemonMessage> {
    const daemon = new PatternDaemon(mountPoint, setup);
    const first = await daemon.next((message) => message.mountPoint !== undefined || message.message !== undefined);
    if (first.mountPoint !== undefined) {
      daemon.process.stdin.write('unmount\n');
      throw new Error('it was mounted');
    }
    await daemon.exited;
    return first;
  }

  /** The first message, of those to come as well, that fits. @throws Error when it ends without */
  async next(fits: (message: DaemonMessage) => boolean): Promise<DaemonMessage> {
    while (true) {
      const found = this.messages.find(fits);
      if (found) return found;
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        throw new Error(`the daemon ended: ${JSON.stringify(this.messages)}`);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Requests since the start: of one opcode, or all. */
  async requests(opcode?: number): Promise<number> {
    this.messages.length = 0;
    this.process.stdin.write('counters\n');
    const { counters = [] } = await this.next((message) => message.counters !== undefined);
    return counters[opcode === undefined ? Counter.requests : Counter.opcodes + opcode] ?? 0;
  }

  /** Has the daemon unmount its own mount, and waits for its end. */
  async unmount(): Promise<void> {
    this.process.stdin.write('unmount\n');
    if ((await this.exited) !== 0) throw new Error(JSON.stringify(this.messages));
  }
}
