import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { join } from 'node:path';
import { type Command, type FixtureState, readState, waitForState, whileAtRest } from './fixtures.ts';
import { type CommandResult, openNamespace } from './namespace.ts';
import { runProgram } from './programs.ts';

/** A real process's checkpoint, as `criu dump` left it. */
export interface Checkpoint {
  /** The directory of image files. */
  readonly images: string;
  /** The process's pid, which it has again when restored. */
  readonly pid: number;
  readonly stateFile: string;
  /** Its state just after it was frozen for good. */
  readonly atDump: FixtureState;
}

/** A process that was restored and runs in a namespace of its own. */
export interface RestoredProcess {
  readonly pid: number;
  /** Waits until it has counted on and compared all its memory once more, from now; returns that state. */
  countsOn(timeout?: number): Promise<FixtureState>;
  /** Runs a program beside it. */
  run(program: string, ...args: readonly string[]): CommandResult;
  /** Kills it and everything else in its namespace. */
  kill(): Promise<void>;
}

/** The lines of a CRIU log that tell why it failed, for a test's message. */
function errorsIn(log: string): string {
  if (!existsSync(log)) return '(no log)';
  const lines = readFileSync(log, 'utf8').split('\n');
  return lines.filter((line) => line.includes('Error')).join('\n') || lines.slice(-5).join('\n');
}

/**
 * Starts `command` in a namespace of its own, lets it count a few times and dumps it at rest, which ends it.
 *
 * @param options.images is created, and holds nothing but image files and `stats-dump`
 * @param options.work a directory for CRIU's log
 * @throws Error with CRIU's own errors when the dump fails
 */
export async function dumpProcess(
  command: Command,
  options: { images: string; work: string; stateFile: string; extra?: readonly string[] },
): Promise<Checkpoint> {
  const { images, work, stateFile, extra = [] } = options;
  mkdirSync(images, { recursive: true });
  mkdirSync(work, { recursive: true });
  rmSync(stateFile, { force: true });
  const namespace = await openNamespace({ hideFuse: true });
  try {
    const pid = namespace.launch(...command);
    await waitForState(stateFile, (state) => state.count >= 3 && state.passes >= 1);
    const log = join(work, 'dump.log');
    const dump = ['dump', '-t', String(pid), '-D', images, '-W', work, '-o', log, ...extra];
    const result = await whileAtRest(stateFile, () => namespace.run('criu', ...dump));
    if (result.status !== 0) throw new Error(`criu dump failed (${result.status}): ${errorsIn(log)}`);
    const atDump = readState(stateFile);
    if (atDump === undefined) throw new Error(`${stateFile} is gone`);
    return { images, pid, stateFile, atDump };
  } finally {
    await namespace.close();
  }
}

/**
 * Restores a checkpoint with `criu restore -D images`, in a namespace of its own that sees the mounts of this moment.
 * Once the process runs, the copy of a FUSE mount in that namespace is dropped, so that it can be unmounted outside.
 *
 * @param images where the image files are read: a plain directory or a mount
 * @param options.work `-W`: CRIU's log and statistics go there; without it they go to `images`
 * @throws Error with CRIU's own errors when the restore fails
 */
export async function restoreProcess(
  checkpoint: Checkpoint,
  images: string,
  options: { work?: string; extra?: readonly string[] } = {},
): Promise<RestoredProcess> {
  const { work, extra = [] } = options;
  if (work !== undefined) mkdirSync(work, { recursive: true });
  const namespace = await openNamespace();
  const where = ['-D', images, ...(work === undefined ? [] : ['-W', work]), '-o', 'restore.log', '-v4', ...extra];
  const result = namespace.run('criu', 'restore', '-d', ...where);
  if (result.status !== 0) {
    const errors = errorsIn(join(work ?? images, 'restore.log'));
    await namespace.close();
    throw new Error(`criu restore failed (${result.status}): ${errors}\n${result.stderr}`);
  }
  // An overlay of --scratch is mounted over the FUSE mount it hides, so one path may need two.
  for (let layer = 0; layer < 2; layer++) namespace.run('umount', '--lazy', '--quiet', images);
  namespace.run('umount', '--lazy', '--all', '--types', 'fuse,fuse.ckptfs');
  return {
    pid: checkpoint.pid,
    countsOn(timeout) {
      const before = readState(checkpoint.stateFile);
      if (before === undefined) throw new Error(`${checkpoint.stateFile} is gone`);
      // Two passes: the first of them may have begun before the dump.
      const further = (now: FixtureState) => now.count >= before.count + 3 && now.passes >= before.passes + 2;
      return waitForState(checkpoint.stateFile, further, timeout);
    },
    run: namespace.run,
    kill: namespace.close,
  };
}

/**
 * Says in a dump when it was made. CRIU does so itself, and wants it of a parent, only where the kernel tracks which
 * pages are written: many do not. Without that the second dump has all pages again, and the first one's are needless.
 *
 * @param work a directory for a file in between
 */
export function sayWhenDumped(images: string, work: string): void {
  const inventory = join(images, 'inventory.img');
  const decoded = JSON.parse(runProgram('crit', 'decode', '-i', inventory)) as { entries: [Record<string, unknown>] };
  decoded.entries[0]['dump_uptime'] ??= Math.floor(uptime()) * 1_000_000;
  const changed = join(work, 'inventory.json');
  writeFileSync(changed, JSON.stringify(decoded));
  runProgram('crit', 'encode', '-i', changed, '-o', inventory);
}
