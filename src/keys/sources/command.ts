import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, readSync } from 'node:fs';
import { Socket } from 'node:net';
import { Deadline } from '../../base/deadline.ts';
import { CkptfsError, systemErrorName } from '../../base/errors.ts';
import { withoutInheritance } from '../../base/linux/descriptors.ts';
import { makePipe } from '../../base/linux/pipe.ts';
import { printable } from '../../base/printable.ts';
import { wipe } from '../../base/wipe.ts';
import { offHeap } from '../../crypto/off-heap.ts';
import { environmentForPrograms } from './environment.ts';
import { interruptible } from './interruptible.ts';
import { closed, Intake } from './stream.ts';
import { checkedSeconds, inSeconds } from './time-limit.ts';

const MAX_ERROR_SIZE = 4096;
const MAX_SHOWN_ERROR = 300;
/** What may be 16 bytes or more in hexadecimal, or 32 or more in base64. */
const LIKE_A_KEY = /[0-9A-Fa-f]{32,}|(?=\S*\d)(?=\S*[A-Z])[0-9A-Za-z+/\\_-]{42,}=*/g;

/** The end of a line that was cut. */
const CUT_WORD = /\S*$/;

/** A command of the shell, or a program with its arguments. */
export type Command = string | readonly [program: string, ...args: string[]];
/** EX_NOPERM of sysexits.h: the key may not be used, as opposed to that it cannot be had now. */
const DENIED = 77;

export interface CommandOptions {
  /** What it reads from its standard input, which is empty otherwise. The caller wipes it. */
  readonly input?: Uint8Array | undefined;
  /** How long the command may take. */
  readonly timeoutSeconds?: number | undefined;
  /** Ends it earlier. */
  readonly deadline?: Deadline | undefined;
  /** Whether a message never quotes the errors of the command: those of one that is traced may have any secret. */
  readonly hidesErrors?: boolean;
}

/** How a command ended. */
interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * Runs a command in a session of its own, without a terminal and without the variables that hold secrets. Its process
 * group is killed when it takes too long, writes too much, or this process is interrupted; what it leaves running in
 * the background otherwise goes on.
 * @param source names it in messages
 * @param into receives what it writes to its standard output
 * @returns how many bytes it wrote, at most as many as fit
 * @throws CkptfsError `key-unavailable` when it fails; `interrupted`
 */
export async function runForSecret(
  source: string,
  command: Command,
  into: Buffer,
  { timeoutSeconds, deadline, hidesErrors = false, input }: CommandOptions = {},
): Promise<number> {
  const seconds = checkedSeconds(timeoutSeconds);
  const { left } = deadline ?? Deadline.after(seconds * 1000);
  const errors = offHeap(MAX_ERROR_SIZE);
  try {
    return await interruptible((interrupted) =>
      new RunningCommand(command, into, errors, hidesErrors, input).end(source, seconds, left, interrupted),
    );
  } finally {
    wipe(errors);
  }
}

class RunningCommand {
  readonly #child: ChildProcess;
  readonly #output: Reading;
  readonly #errors: Reading;
  readonly #ended: Promise<Ending>;
  readonly #hidesErrors: boolean;
  readonly #program: string;
  readonly #input: Socket | undefined;
  #isKilled = false;

  constructor(command: Command, into: Buffer, errors: Buffer, hidesErrors: boolean, input: Uint8Array | undefined) {
    this.#hidesErrors = hidesErrors;
    const [program, ...args] = typeof command === 'string' ? (['/bin/sh', '-c', command] as const) : command;
    this.#program = program;
    const [output, problems] = [makePipe(), makePipe()];
    const given = input && { ...makePipe(), input };
    try {
      this.#child = withoutInheritance(() =>
        spawn(program, args, {
          stdio: [given?.readEnd ?? 'ignore', output.writeEnd, problems.writeEnd],
          detached: true,
          env: environmentForPrograms(),
        }),
      );
    } finally {
      closeSync(output.writeEnd);
      closeSync(problems.writeEnd);
      if (given !== undefined) closeSync(given.readEnd);
    }
    if (given !== undefined) {
      this.#input = new Socket({ fd: given.writeEnd, readable: false, writable: true });
      // It need not read all of it.
      this.#input.on('error', () => undefined).end(given.input);
    }
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject).once('exit', (code, signal) => {
        // What it wrote is in the pipes now. Nothing waits for other processes that have them open.
        this.#output.takeRest();
        this.#errors.takeRest();
        resolve({ code, signal });
      });
    });
    this.#output = new Reading(output.readEnd, into, (intake) => intake.isFull && this.#kill());
    this.#errors = new Reading(problems.readEnd, errors, () => undefined);
  }

  /** Waits for the end, and returns how many bytes there are. @param left of the time, in milliseconds */
  async end(source: string, seconds: number, left: number, interrupted: AbortSignal): Promise<number> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#kill();
    }, left);
    const onInterrupt = (): void => this.#kill();
    interrupted.addEventListener('abort', onInterrupt);
    try {
      const ending = await this.#ended;
      if (isLate)
        throw failed('timeout', `${source}: the command did not end within ${inSeconds(seconds)} and was killed`);
      if (this.#output.isFull) return this.#output.length;
      if (ending.code !== 0) {
        const said = this.#hidesErrors ? '' : this.#errors.firstLine;
        throw failed(ending.code === DENIED ? 'denied' : 'command-failed', `${source}: ${how(ending)}${said}`);
      }
      return this.#output.length;
    } catch (error) {
      if (error instanceof CkptfsError) throw error;
      const problem = `${this.#program} cannot be started: ${systemErrorName(error)}`;
      throw failed('command-failed', `${source}: ${problem}`, error);
    } finally {
      clearTimeout(timer);
      interrupted.removeEventListener('abort', onInterrupt);
      const input = this.#input === undefined ? [] : [closed(this.#input)];
      await Promise.all([this.#output.close(), this.#errors.close(), ...input]);
    }
  }

  #kill(): void {
    if (this.#isKilled || this.#child.pid === undefined) return;
    this.#isKilled = true;
    try {
      process.kill(-this.#child.pid, 'SIGKILL');
    } catch {
      // It has just ended.
    }
  }
}

/** The reading end of a pipe, read as something comes. */
class Reading {
  readonly #fd: number;
  readonly #into: Buffer;
  readonly #intake: Intake;
  readonly #socket: Socket;
  #isOver = false;

  constructor(fd: number, into: Buffer, onData: (intake: Intake) => void) {
    this.#fd = fd;
    this.#into = into;
    this.#intake = new Intake(into, () => onData(this.#intake));
    this.#socket = new Socket({ fd, ...this.#intake.options });
    this.#socket.once('end', () => {
      this.#isOver = true;
    });
    this.#socket.on('error', () => undefined);
    this.#socket.resume();
  }

  get length(): number {
    return this.#intake.length;
  }

  get isFull(): boolean {
    return this.#intake.isFull;
  }

  /** The first line that is not empty, as what follows in a message. */
  get firstLine(): string {
    const lines = this.#into.subarray(0, this.length).toString('utf8').split('\n');
    const line = lines.find((one) => one.trim() !== '')?.trim() ?? '';
    // Of a key that was cut, too few characters may be left to be taken for one.
    const whole = this.isFull && line === lines.at(-1)?.trim() ? line.replace(CUT_WORD, '') : line;
    // A command that is traced, as by `sh -x`, may write what it is given.
    const shown = printable(whole.replace(LIKE_A_KEY, '[hidden]'), MAX_SHOWN_ERROR);
    return shown === '' ? '' : `: ${shown}`;
  }

  /** Takes what is in the pipe, without waiting for more. */
  takeRest(): void {
    while (!this.#isOver && !this.isFull) {
      try {
        const count = readSync(this.#fd, this.#intake.next);
        if (count === 0) return;
        this.#intake.took(count);
      } catch {
        // EAGAIN: another process has the pipe open, and it is empty.
        return;
      }
    }
  }

  close(): Promise<void> {
    return closed(this.#socket);
  }
}

function how({ code, signal }: Ending): string {
  return code === null ? `the command was ended by ${signal}` : `the command ended with exit code ${code}`;
}

function failed(reason: 'timeout' | 'command-failed' | 'denied', message: string, cause?: unknown): CkptfsError {
  return new CkptfsError('key-unavailable', message, { data: { reason }, cause });
}
