import { MalformedError } from '../../base/bytes.ts';
import { CkptfsError } from '../../base/errors.ts';
import { parseSettings } from '../config/settings-file.ts';

/** What a container runtime tells a hook about the container (OCI runtime specification, "State"), as far as used. */
export interface ContainerState {
  /** Letters, digits, `_`, `+`, `-` and `.`, as runc and podman have them. */
  readonly id: string;
  /** `creating`, `created`, `running` or `stopped`. runc says `stopped` when it restores a container. */
  readonly status: string;
  /** The container's first process, in the pid namespace of the hook; undefined where there is none. */
  readonly pid: number | undefined;
}

/** The state has the annotations of the container, of which Kubernetes allows 256 KiB. */
const MAX_SIZE = 1 << 20;
const ANSWER_MILLISECONDS = 10_000;
const MAX_PID = 2 ** 22;

/** Reads the state that a runtime writes to standard input. @throws CkptfsError `bad-argument` */
export async function readContainerState(): Promise<ContainerState> {
  try {
    if (process.stdin.isTTY) throw new MalformedError('it is a terminal');
    return parseContainerState(await readInput());
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause;
    const message = `standard input is not the state of a container, which a runtime writes there: ${cause.message}`;
    throw new CkptfsError('bad-argument', message, { cause });
  }
}

async function readInput(): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let size = 0;
  const late = setTimeout(() => process.stdin.destroy(new MalformedError('it does not end')), ANSWER_MILLISECONDS);
  try {
    for await (const piece of process.stdin) {
      size += piece.length;
      if (size > MAX_SIZE) throw new MalformedError(`it is larger than ${MAX_SIZE} bytes`);
      pieces.push(Buffer.from(piece));
    }
  } finally {
    clearTimeout(late);
  }
  return Buffer.concat(pieces);
}

/** @param text a JSON object in UTF-8, from anyone. @throws MalformedError */
export function parseContainerState(text: Uint8Array): ContainerState {
  const members = parseSettings(text);
  const [id, status, pid] = [members.get('id'), members.get('status'), members.get('pid')];
  if (typeof id !== 'string' || !/^[\w+.-]{1,1024}$/.test(id)) throw new MalformedError('it has no valid id');
  if (typeof status !== 'string') throw new MalformedError('it has no status');
  // A runtime may leave out what is 0.
  if (pid === undefined || pid === 0) return { id, status, pid: undefined };
  if (typeof pid !== 'number' || !Number.isInteger(pid) || pid < 0 || pid > MAX_PID) {
    throw new MalformedError('its pid is not one');
  }
  return { id, status, pid };
}
