import { bind, Region } from './native.ts';
import { systemError } from './system-error.ts';

/** termios(3). The constants are those of asm-generic/termbits.h, the offset that of struct termios of C libraries. */

const LOCAL_FLAGS = 12;
/** Above its size in every C library. */
const SIZEOF_TERMIOS = 128;
const ISIG = 0o1;
const ICANON = 0o2;
const ECHO = 0o10;
const ECHONL = 0o100;
const TCSANOW = 0;
const TCSAFLUSH = 2;

const calls = {
  tcgetattr: bind('tcgetattr', 'int', ['int', 'uintptr_t']),
  tcsetattr: bind('tcsetattr', 'int', ['int', 'int', 'uintptr_t']),
} as const;

/** Whether a terminal shows what is typed. */
export class TerminalEcho {
  readonly #fd: number;
  readonly #before = new Region(SIZEOF_TERMIOS);

  /** @param fd a terminal, open until the end */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Drops what was typed before, and hides what is typed from now on. The terminal still collects lines and sends the
   * signals of its keys. @throws Error
   */
  off(): void {
    if (calls.tcgetattr(this.#fd, this.#before.address) !== 0) throw systemError('tcgetattr');
    const silent = new Region(Buffer.from(this.#before.bytes));
    const flags = silent.view.getUint32(LOCAL_FLAGS, true);
    silent.view.setUint32(LOCAL_FLAGS, (flags & ~(ECHO | ECHONL)) | ICANON | ISIG, true);
    if (calls.tcsetattr(this.#fd, TCSAFLUSH, silent.address) !== 0) throw systemError('tcsetattr');
  }

  /** Makes it as it was before {@link off}. */
  restore(): void {
    calls.tcsetattr(this.#fd, TCSANOW, this.#before.address);
  }
}
