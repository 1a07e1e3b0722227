import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
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
  readonly #ended: Promise<unknown>;
  #lines = 0;
  #wake: () => void = () => undefined;

  private constructor(program: string, directory: string, copies: string) {
    this.#process = spawn(program, [directory, copies], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#ended = once(this.#process, 'exit');
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

  /** Until so many files were closed. Never, if they are fewer. */
  async closed(count: number): Promise<void> {
    while (this.#lines < 1 + count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async end(): Promise<void> {
    this.#process.kill();
    await this.#ended;
  }
}
