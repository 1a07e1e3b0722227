import {
  closeSync,
  constants as fsConstants,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { secondsSinceBoot } from '../../base/linux/boot-clock.ts';
import { Directory } from '../../base/linux/directory.ts';
import { tryLock } from '../../base/linux/files.ts';
import { namesIn } from '../../base/listing.ts';
import { ownStateDirectory } from '../mounts/state-directory.ts';
import { isLeaseAnswer, type LeaseAnswer } from './answers.ts';

const { O_CREAT, O_NOFOLLOW, O_RDONLY, O_RDWR } = fsConstants;
/** Beside the sockets of daemons, and apart from them: there may be many. */
const DIRECTORY = 'leases';
const MAX_SIZE = 8192;
/** How often the file may disappear between opening and locking it: one that is not needed any more is removed. */
const MAX_TRIES = 10;

/** What the processes of a user have heard last of a key. Has no secret. */
export interface HostAnswers {
  readonly last: LeaseAnswer;
  /** The last time that the key was fetched, unless it was revoked since. */
  readonly fetched?: Fetched | undefined;
}

export interface Fetched {
  /** In seconds since the host was started. */
  readonly at: number;
  /** For how long the key is shared from then on. */
  readonly seconds: number;
  readonly leaseSeconds?: number | undefined;
  readonly slot?: number | undefined;
  readonly source: string;
}

/** Reads what is known of a key. Returns undefined where nothing is: nothing of it has to be true. */
export function readHostAnswers(name: string): HostAnswers | undefined {
  try {
    return withDirectory((directory) => {
      const fd = directory.openFile(name, O_RDONLY | O_NOFOLLOW);
      try {
        return parsed(fd);
      } finally {
        closeSync(fd);
      }
    });
  } catch {
    // No process has asked yet.
    return undefined;
  }
}

/** Lists the names under which the key of an image was shared. @param imageId 32 hexadecimal digits */
export function namesShared(imageId: string): string[] {
  return withDirectory((_directory, path) => namesIn(path).filter((name) => name.startsWith(`${imageId}-`)));
}

/** The right to ask for a key: no other process of the user asks meanwhile. It ends with the process. */
export class AskingLock {
  readonly #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /** Returns undefined while another process asks. @throws CkptfsError `io`, Error in Node's shape */
  static tryTake(name: string): AskingLock | undefined {
    return withDirectory((directory) => {
      for (let left = MAX_TRIES; left > 0; left--) {
        const fd = directory.openFile(name, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
        if (!tryLock(fd)) {
          closeSync(fd);
          return undefined;
        }
        if (leadsTo(directory, name, fd)) return new AskingLock(fd);
        closeSync(fd);
      }
      return undefined;
    });
  }

  /** What was heard before this process could ask. */
  read(): HostAnswers | undefined {
    return parsed(this.#fd);
  }

  /** Never throws: what cannot be written is asked again. */
  write(answers: HostAnswers): void {
    const text = Buffer.from(JSON.stringify({ boot: bootId(), ...answers }));
    try {
      ftruncateSync(this.#fd, 0);
      if (text.length <= MAX_SIZE) writeSync(this.#fd, text, 0, text.length, 0);
    } catch {
      // The disk is full.
    }
  }

  release(): void {
    closeSync(this.#fd);
  }
}

/** Removes the files of keys that are not shared any more. Never throws. */
export function removeOldAnswers(): void {
  try {
    withDirectory((directory, path) => {
      for (const name of namesIn(path)) removeIfOld(directory, name);
    });
  } catch {
    // They do no harm.
  }
}

function removeIfOld(directory: Directory, name: string): void {
  const fd = directory.openFile(name, O_RDWR | O_NOFOLLOW);
  try {
    if (!tryLock(fd) || !leadsTo(directory, name, fd)) return;
    const answers = parsed(fd);
    const since = answers === undefined ? Number.POSITIVE_INFINITY : secondsSinceBoot() - answers.last.at;
    if (since > Math.max(answers?.fetched?.seconds ?? 0, 3600)) directory.unlink(name);
  } finally {
    closeSync(fd);
  }
}

function withDirectory<T>(work: (directory: Directory, path: string) => T): T {
  const path = join(ownStateDirectory(), DIRECTORY);
  mkdirSync(path, { mode: 0o700, recursive: true });
  const directory = Directory.open(path);
  try {
    return work(directory, path);
  } finally {
    directory.close();
  }
}

function leadsTo(directory: Directory, name: string, fd: number): boolean {
  const there = directory.lstat(name);
  const here = fstatSync(fd, { bigint: true });
  return there?.ino === here.ino && there.dev === here.dev;
}

function parsed(fd: number): HostAnswers | undefined {
  const bytes = Buffer.alloc(MAX_SIZE);
  const length = readSync(fd, bytes, 0, MAX_SIZE, 0);
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8', 0, length));
    return isHostAnswers(value) ? value : undefined;
  } catch {
    // It is new, or is being written.
    return undefined;
  }
}

/** Checks that it has the right shape, and is neither of another boot nor of the future. */
function isHostAnswers(value: unknown): value is HostAnswers {
  if (typeof value !== 'object' || value === null) return false;
  const { boot, last, fetched }: { boot?: unknown; last?: unknown; fetched?: unknown } = value;
  const now = secondsSinceBoot();
  return (
    boot === bootId() && isLeaseAnswer(last) && last.at <= now && (fetched === undefined || isFetched(fetched, now))
  );
}

function isFetched(value: unknown, now: number): value is Fetched {
  if (typeof value !== 'object' || value === null) return false;
  const { at, seconds, leaseSeconds, slot, source }: Partial<Record<keyof Fetched, unknown>> = value;
  return (
    Number.isFinite(at) &&
    Number(at) <= now &&
    Number.isFinite(seconds) &&
    [leaseSeconds, slot].every((each) => each === undefined || Number.isFinite(each)) &&
    typeof source === 'string'
  );
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}
