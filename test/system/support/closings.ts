import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kill } from './children.ts';
import { inTime } from './patience.ts';
import { runProgram } from './programs.ts';

/** Builds test/fixtures/closings.c in a directory; returns its path. */
export function buildClosings(directory: string): string {
  const program = join(directory, 'closings');
  const source = fileURLToPath(new URL('../../fixtures/closings.c', import.meta.url));
  runProgram('gcc', '-O2', '-Wall', '-Werror', '-o', program, source);
  return program;
}

/** Copies each file of a directory as soon as it was closed, see test/fixtures/closings.c. */
export class ClosingsWatcher {
  readonly #process: ChildProcess;
  #lines = 0;
  #hasEnded = false;
  #wake: () => void = () => undefined;

  private constructor(program: string, directory: string, copies: string) {
    this.#process = spawn(program, [directory, copies], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#process.once('close', () => {
      this.#hasEnded = true;
      this.#wake();
    });
    this.#process.stdout?.on('data', (data: Buffer) => {
      this.#lines += data.filter((byte) => byte === 0x0a).length;
      this.#wake();
    });
  }

  /** Returns when it watches. @param program made by {@link buildClosings} */
  static async start(program: string, directory: string, copies: string): Promise<ClosingsWatcher> {
    const watcher = new ClosingsWatcher(program, directory, copies);
    await watcher.closed(0);
    return watcher;
  }

  /** Waits until so many files were closed. @throws Error when it ends before, or they are fewer */
  async closed(count: number): Promise<void> {
    while (this.#lines < 1 + count) {
      if (this.#hasEnded) throw new Error(`the watcher ended after ${this.#lines} of ${1 + count} lines`);
      const news = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await inTime(`line ${this.#lines + 1} of the watcher`, news);
    }
  }

  async end(): Promise<void> {
    await kill(this.#process);
  }
}
