import fs from 'node:fs';
import { join } from 'node:path';
import { run } from '../../lib/commands.ts';

/** One thing that makes ckptfs fast, and how to build ckptfs without it. */
export interface Trick {
  /** What the competitor that lacks it is called, after the name of ckptfs. */
  readonly without: string;
  /** The constant of src/base/tuning.ts that switches the trick. */
  readonly constant: string;
  /** The constant's value in the altered build, as JavaScript. */
  readonly value: string;
}

const reading: readonly Trick[] = [
  { without: 'without staying awake', constant: 'CKPTFS_POLLS_DEVICE', value: 'false' },
  { without: 'without clones of the device', constant: 'CKPTFS_CLONES_DEVICE', value: 'false' },
  { without: 'with read-ahead as the kernel has it', constant: 'CKPTFS_READ_AHEAD_KIBIBYTES', value: '128' },
  { without: 'reading by fs.readSync', constant: 'CKPTFS_CALLS_PREAD', value: 'false' },
];

const restoring: readonly Trick[] = [
  {
    without: 'with every file in the page cache',
    constant: 'CKPTFS_MIN_DIRECT_FILE',
    value: `${Number.MAX_SAFE_INTEGER}`,
  },
  { without: 'without decrypting ahead', constant: 'CKPTFS_READS_AHEAD', value: 'false' },
];

const writing: readonly Trick[] = [
  {
    without: 'answering large writes when they are stored',
    constant: 'CKPTFS_MIN_DEFERRED_WRITE',
    value: `${Number.MAX_SAFE_INTEGER}`,
  },
];

const mounting: readonly Trick[] = [
  {
    without: 'starting its daemon when it knows what for',
    constant: 'CKPTFS_STARTS_DAEMON_EARLY',
    value: 'false',
  },
  { without: 'starting its threads with the first read', constant: 'CKPTFS_SERVED_BEFORE_THREADS', value: '0' },
  { without: 'asked for every extended attribute', constant: 'CKPTFS_STOPS_XATTR_REQUESTS', value: 'false' },
];

/** The tricks, grouped by what they make faster. */
export const tricks = { reading, restoring, writing, mounting };

/**
 * Builds the command once more without a trick, from what `npm run build` compiled.
 * @returns the path of the altered command
 * @throws Error when the build fails
 */
export async function buildWithout(
  { without, constant, value }: Trick,
  project: string,
  directory: string,
): Promise<string> {
  const copy = join(directory, without.replaceAll(' ', '-'));
  for (const part of ['bin', 'package.json']) {
    fs.cpSync(join(project, part), join(copy, part), { recursive: true });
  }
  fs.symlinkSync(join(project, 'node_modules'), join(copy, 'node_modules'));
  const program = join(copy, 'dist', 'bundle');
  await run(process.execPath, join(project, 'scripts/build.js'), '--program', program, `${constant}=${value}`);
  return join(copy, 'bin', 'ckptfs');
}
