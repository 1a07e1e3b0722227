import { spawnSync } from 'node:child_process';
import { ckptfsProgram } from './mounts.ts';
import { PATIENCE } from './patience.ts';
import { toolEnvironment } from './requirements.ts';

/** What a command line left, its output as bytes' own text. */
export interface Transcript {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A working directory and a configuration folder of their own, in which command lines are run as a user would type
 * them.
 */
export class Terminal {
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;

  constructor(directory: string) {
    this.directory = directory;
    this.environment = { ...toolEnvironment, XDG_CONFIG_HOME: `${directory}/config`, SHELL: '/bin/bash' };
  }

  /** Runs `bin/ckptfs` with these words. */
  run(...words: readonly string[]): Transcript {
    return this.#spawn(ckptfsProgram, words);
  }

  /** Like {@link run}, but replaces what differs from run to run (ids, pids) by names. */
  runWithoutIds(...words: readonly string[]): Transcript {
    const { status, stdout, stderr } = this.run(...words);
    return { status, stdout: withoutIds(stdout), stderr: withoutIds(stderr) };
  }

  /** Runs a line of bash, in which `ckptfs` is our program. */
  shell(line: string): Transcript {
    return this.#spawn('bash', ['-c', `ckptfs() { '${ckptfsProgram}' "$@"; }\n${line}`]);
  }

  /** Like {@link run}, but returns stdout as bytes. */
  bytes(...words: readonly string[]): Buffer {
    const { stdout } = spawnSync(ckptfsProgram, words, this.#options());
    return stdout;
  }

  #spawn(program: string, words: readonly string[]): Transcript {
    const { status, stdout, stderr, error } = spawnSync(program, words, this.#options());
    if (error !== undefined) throw error;
    return { status, stdout: stdout.toString(), stderr: stderr.toString() };
  }

  #options() {
    return { cwd: this.directory, env: this.environment, maxBuffer: 256 << 20, timeout: PATIENCE };
  }
}

/** Text in which what differs from run to run (ids, pids) is named instead. */
export function withoutIds(text: string): string {
  return text.replace(/\b[0-9a-f]{32}\b/g, 'ID').replace(/\bpid \d+/g, 'pid N');
}

export function success(stdout = ''): Transcript {
  return { status: 0, stdout, stderr: '' };
}

/** A failure that said one line. */
export function failure(status: number, line: string): Transcript {
  return { status, stdout: '', stderr: `ckptfs: ${line}\n` };
}
