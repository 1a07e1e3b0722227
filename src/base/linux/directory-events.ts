import { readSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { cString } from './c-strings.ts';
import { closeDescriptor } from './descriptors.ts';
import type { Directory } from './directory.ts';
import { bind } from './native.ts';
import { systemError } from './system-error.ts';
import { Waiting } from './waiting.ts';

/** sys/inotify.h. */
const IN_NONBLOCK = 0o4000;
const IN_CLOEXEC = 0o2000000;
const IN_ATTRIB = 0x4;
const IN_CLOSE_WRITE = 0x8;
const IN_MOVED_TO = 0x80;
const IN_CREATE = 0x100;
const IN_DELETE_SELF = 0x400;
const IN_MOVE_SELF = 0x800;
const IN_ONLYDIR = 0x1000000;
const MASK = IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
/** Bytes of events that are read at once. */
const READ_SIZE = 65_536;

const calls = {
  inotify_init1: bind('inotify_init1', 'int', ['int']),
  inotify_add_watch: bind('inotify_add_watch', 'int', ['int', 'uintptr_t', 'uint']),
} as const;

/**
 * Tells that something happened in a directory (inotify(7)): a file was made, given a name, closed by a writer, or got
 * other rights; or the directory itself was moved or removed. What happened is not told, as the kernel may have lost
 * some of it when much did: look again. By fs.watch it would not be known when a writer closes a file.
 */
export class DirectoryEvents {
  readonly #fd: number;
  readonly #waiting: Waiting;
  #readable: Promise<void> | undefined;

  /** Begins to listen. The directory may be closed then. @throws Error */
  constructor(directory: Directory) {
    this.#fd = calls.inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (this.#fd < 0) throw systemError('inotify_init1');
    const path = cString(`/proc/self/fd/${directory.fd}`);
    if (calls.inotify_add_watch(this.#fd, path.address, MASK) < 0) {
      const error = systemError('inotify_add_watch');
      closeDescriptor(this.#fd);
      throw error;
    }
    this.#waiting = new Waiting(this.#fd);
  }

  /** Settles when something happened since the last call, when the time is over, or when `signal` says so. */
  async next(signal: AbortSignal, milliseconds: number): Promise<void> {
    const timer = new AbortController();
    const stop = (): void => timer.abort();
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    this.#readable ??= this.#waiting.readable().finally(() => {
      this.#readable = undefined;
    });
    const time = sleep(milliseconds, undefined, { signal: timer.signal }).catch(() => undefined);
    await Promise.race([this.#readable, time]).finally(stop);
    signal.removeEventListener('abort', stop);
    this.#drain();
  }

  async close(): Promise<void> {
    this.#waiting.end();
    await this.#readable;
    this.#waiting.close();
    closeDescriptor(this.#fd);
  }

  #drain(): void {
    const events = Buffer.alloc(READ_SIZE);
    try {
      while (readSync(this.#fd, events) > 0);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    }
  }
}
