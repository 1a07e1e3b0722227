import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { bash, patience, start } from '../lib/commands.ts';
import { type Checkpoint, closeInherited, namespace } from './checkpoint.ts';

/** A tree of processes that was restored. */
export interface Restored {
  /** When the restore, or its preparation, began, in seconds since 1970. */
  readonly began: number;
  /** When criu said that the processes run, on the same clock. */
  readonly runs: number;
  /**
   * Has every process read all of its memory, and compare it with what was dumped.
   * @returns when the last one had read everything, by its own clock, in seconds since 1970
   * @throws Error unless all of them find their memory as it was
   */
  readAll(): Promise<number>;
  /** Kills all of them. */
  end(): Promise<void>;
}

export interface RestoreOptions {
  /** Has `criu lazy-pages` bring the memory in after the processes run; its start counts. */
  readonly lazy?: boolean;
  /** A bash command that has to come first and counts, such as decrypting to where criu reads. */
  readonly before?: readonly string[];
  /** Has the processes read their memory when {@link Restored.readAll} is called, not as soon as they run. */
  readonly waits?: boolean;
}

/**
 * Restores, with a state directory of its own: several can restore the same processes at once. Nothing polls: criu and
 * the processes tell by pipes. The time of a line that this script prints is when it happened.
 */
const script = `${closeInherited}; images=$1 state=$2 pid=$3 processes=$4 lazy=$5; shift 5
  mount -t tmpfs tmpfs "$state"
  mkfifo "$state/reports" "$state/serving"
  exec 3<>"$state/reports"
  failed() { grep -h Error "$state"/*.log >&2; exit 1; }
  options=(--images-dir "$images" --work-dir "$state")
  began=$EPOCHREALTIME
  if (($#)); then "$@"; fi
  if [ "$lazy" = true ]; then
    criu lazy-pages "\${options[@]}" -o lazy-pages.log --status-fd 4 4>"$state/serving" 3>&- >/dev/null 2>&1 &
    read -r -d '' <"$state/serving" || failed
    options+=(--lazy-pages)
  fi
  criu restore --restore-detached "\${options[@]}" -o restore.log </dev/null 3>&- >/dev/null 2>&1 || failed
  echo "$began $EPOCHREALTIME"
  read -r _ || exit 0
  kill -USR1 "$pid"
  for ((; processes > 0; processes--)); do read -r -t 300 report <&3; echo "$report"; done
  read -r _ || exit 0`;

/**
 * Restores a checkpoint in a pid namespace of its own.
 * @param images where criu reads the image files
 * @throws Error with criu's own words when it fails
 */
export async function restore(
  { pid, processes, state }: Checkpoint,
  images: string,
  { lazy = false, before = [], waits = false }: RestoreOptions = {},
): Promise<Restored> {
  const command = bash(script, images, state, `${pid}`, `${processes}`, `${lazy}`, ...before);
  const child = start([...namespace, ...command], { ...patience, stdio: ['pipe', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  let errors = '';
  child.stderr?.on('data', (data) => {
    errors += String(data);
  });
  // A script that failed reads no more.
  child.stdin?.on('error', () => undefined);
  if (!waits) child.stdin?.write('\n');
  const lines = createInterface(child.stdout ?? process.stdin)[Symbol.asyncIterator]();
  const end = async (): Promise<void> => {
    child.stdin?.end();
    // The namespace is gone with its first process; what is left of the restored ones is gone before.
    await closed;
  };
  const nextLine = async (what: string): Promise<string> => {
    const { value, done } = await lines.next();
    if (done !== true) return value;
    await end();
    throw new Error(`${what}: ${errors.trim().split('\n').slice(-2).join(' | ')}`);
  };
  const [began = Number.NaN, runs = Number.NaN] = (await nextLine('criu restore')).split(' ').map(Number);
  return {
    began,
    runs,
    async readAll() {
      if (waits) child.stdin?.write('\n');
      let last = runs;
      for (let reports = 0; reports < processes; reports++) {
        const [time, found] = (await nextLine('restored processes do not answer')).split(' ');
        if (found !== 'ok') throw new Error('the memory of a restored process is damaged');
        last = Math.max(last, Number(time));
      }
      return last;
    },
    end,
  };
}
