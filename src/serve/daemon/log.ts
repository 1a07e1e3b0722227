import {
  closeSync,
  constants as fsConstants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import type { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import type { LogFormat } from '../mounts/log-format.ts';
import type { LogLevel } from '../thread/thread-messages.ts';

const STANDARD_ERROR = 2;
const MAX_LOG_SIZE = 1 << 20;
const REPEAT_AFTER_MILLISECONDS = 60_000;
/** Counts all lines that are remembered together. */
const MAX_REMEMBERED_CHARACTERS = 1 << 20;
const COPY_SIZE = 65536;

/** Returns what a user can do about an error; undefined where its message is enough. */
export type HintFor = (error: CkptfsError) => string | undefined;

/** Severities of syslog (RFC 5424 §6.2.1). */
const PRIORITIES: Readonly<Record<LogLevel, number>> = { error: 3, warning: 4, info: 6 };

/**
 * The daemon's log. Each event is one line with its time, the pid, a level and a text. It must not be given secrets or
 * contents of an image; names of damaged image files may appear. A line that repeats is written once a minute. Lines
 * contain no control characters, because they may be shown on a terminal.
 */
export class Log {
  readonly #file: string | undefined;
  readonly #fd: number;
  readonly #hintFor: HintFor;
  readonly #format: LogFormat;
  readonly #last = new Map<string, number>();
  /** The characters of all lines in `#last`. */
  #remembered = 0;

  /**
   * @param file the path of the file that `fd` appends to: it is kept below 1 MiB, and one older part of it is kept as
   *   FILE.old. Undefined when `fd` is something else.
   * @param hintFor says what a reader of the log can do about an error
   */
  constructor(
    file: string | undefined,
    fd: number = STANDARD_ERROR,
    hintFor: HintFor = () => undefined,
    format: LogFormat = 'text',
  ) {
    this.#file = file;
    this.#fd = fd;
    this.#hintFor = hintFor;
    this.#format = format;
  }

  info(text: string): void {
    this.write('info', text);
  }

  warning(text: string): void {
    this.write('warning', text);
  }

  error(text: string): void {
    this.write('error', text);
  }

  /** Writes an error, and what can be done about it. */
  failure(error: CkptfsError): void {
    const hint = this.#hintFor(error);
    this.error(hint === undefined ? error.message : `${error.message}. ${hint}`);
  }

  write(level: LogLevel, text: string): void {
    const now = new Date();
    if (this.#repeats(`${level} ${text}`, now.getTime())) return;
    const line = printable(text.replaceAll(/[\n\r]+\s*/g, ' | '));
    try {
      this.#keepSmall();
      writeSync(this.#fd, `${this.#formatted(now.toISOString(), level, line)}\n`);
    } catch {
      // The disk is full, or the terminal is gone: serving goes on without a log.
    }
  }

  #formatted(time: string, level: LogLevel, text: string): string {
    switch (this.#format) {
      case 'text':
        return `${time} ckptfs[${process.pid}]: ${level}: ${text}`;
      case 'json':
        return JSON.stringify({ time, level, pid: process.pid, message: text });
      case 'journal':
        return `<${PRIORITIES[level]}>${text}`;
    }
  }

  #repeats(line: string, now: number): boolean {
    const last = this.#last.get(line);
    if (last !== undefined && now - last < REPEAT_AFTER_MILLISECONDS) return true;
    if (last === undefined) this.#remembered += line.length;
    if (this.#remembered > MAX_REMEMBERED_CHARACTERS) {
      this.#last.clear();
      this.#remembered = line.length;
    }
    this.#last.set(line, now);
    return false;
  }

  /** Truncates the file in place, because other daemons of the image and Node itself write to it as well. */
  #keepSmall(): void {
    if (this.#file === undefined || fstatSync(this.#fd).size < MAX_LOG_SIZE) return;
    try {
      copyInto(this.#fd, `${this.#file}.old`);
    } catch {
      // Something is in the way, or the disk is full. Staying small matters more than the older part.
    }
    ftruncateSync(this.#fd, 0);
  }
}

/** Copies an open file into a new one. An existing file is removed, not overwritten: it may be another user's link. */
function copyInto(from: number, path: string): void {
  const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = fsConstants;
  rmSync(path, { force: true });
  const to = openSync(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY, 0o600);
  try {
    const part = Buffer.alloc(COPY_SIZE);
    for (let done = 0, count = 1; count > 0; done += count) {
      count = readSync(from, part, 0, part.length, done);
      writeSync(to, part, 0, count);
    }
  } finally {
    closeSync(to);
  }
}
