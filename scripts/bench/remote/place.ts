import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { closeInherited, namespace } from '../checkpoint.ts';

/** What a script marked: when, in seconds since 1970, and how many bytes the network had carried by then. */
export interface Mark {
  readonly time: number;
  readonly bytes: number;
}

/** What a script wrote, and its marks by their names. */
export interface Said {
  readonly lines: readonly string[];
  readonly marks: ReadonlyMap<string, Mark>;
}

/** @throws Error when the script did not get there */
export function markOf(marks: ReadonlyMap<string, Mark>, name: string): Mark {
  const mark = marks.get(name);
  if (mark === undefined) throw new Error(`a script did not say when it had ${name}`);
  return mark;
}

/** How long a script may run before it is given up, in milliseconds. */
const PATIENCE = 300_000;

const DONE = 'script ended with ';

/**
 * Reads scripts, each ended by a NUL, and runs each in a shell of its own, which ends at its first failure.
 * `mark NAME` notes the time and the bytes that the loopback interface has received, without starting a process;
 * `criu_says` is criu, with the errors of its logs in $work.
 */
const init = `${closeInherited}
  mark() {
    local time=$EPOCHREALTIME line
    while read -r line; do [[ $line != lo:* ]] || break; done </proc/net/dev
    set -- "$1" \${line#lo:}
    echo "mark $1 $time $2"
  }
  criu_says() {
    command criu "$@" && return
    grep -h Error "$work"/*.log >&2
    return 1
  }
  while IFS= read -r -d '' script; do
    (set -euo pipefail; eval "$script") </dev/null
    echo "${DONE}$?"
  done`;

/** Pid and mount namespaces of their own, in which scripts run one after the other. All is gone when it is closed. */
export class Place {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  #errors = '';

  /** @param variables what scripts see besides the environment of this process */
  constructor(variables: Readonly<Record<string, string>>) {
    const [program, ...words] = [...namespace, 'bash', '-c', init];
    this.#child = spawn(program ?? '', words, {
      cwd: '/',
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...variables },
    });
    this.#child.stderr?.on('data', (data) => {
      this.#errors += String(data);
    });
    this.#reader = createInterface(this.#child.stdout ?? process.stdin);
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  /** Runs a script of bash. @throws Error with what it wrote to stderr when it fails, or does not end in time */
  async run(script: string): Promise<Said> {
    this.#errors = '';
    const late = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE);
    try {
      this.#child.stdin?.write(`${script}\0`);
      return await this.#untilDone();
    } finally {
      clearTimeout(late);
    }
  }

  async #untilDone(): Promise<Said> {
    const lines: string[] = [];
    const marks = new Map<string, Mark>();
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) throw new Error(`the shell ended: ${this.#lastErrors()}`);
      const line: string = value;
      if (line === `${DONE}0`) return { lines, marks };
      if (line.startsWith(DONE)) throw new Error(`${line}: ${this.#lastErrors()}`);
      const [word, name, time, bytes] = line.split(' ');
      if (word === 'mark' && name !== undefined) marks.set(name, { time: Number(time), bytes: Number(bytes) });
      else lines.push(line);
    }
  }

  #lastErrors(): string {
    return this.#errors.trim().split('\n').slice(-4).join(' | ');
  }

  /** Kills everything in it. */
  async close(): Promise<void> {
    const closed = once(this.#child, 'close');
    this.#child.kill('SIGKILL');
    await closed;
    this.#reader.close();
  }
}

/** Opens a place for as long as `body` runs. */
export async function inPlace<T>(
  variables: Readonly<Record<string, string>>,
  body: (place: Place) => Promise<T>,
): Promise<T> {
  const place = new Place(variables);
  try {
    return await body(place);
  } finally {
    await place.close();
  }
}
