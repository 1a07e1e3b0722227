import { closeSync, openSync, readFileSync } from 'node:fs';
import { O_PATH } from '../../base/linux/open-flags.ts';

/** One line of /proc/PID/mountinfo, see proc_pid_mountinfo(5). */
export interface MountInfo {
  /** Unique among the mounts that a host has at one time. */
  readonly id: number;
  readonly mountPoint: string;
  /** `MAJOR:MINOR`, as in st_dev and in the names of /sys/class/bdi. */
  readonly device: string;
  /** With its subtype: `fuse.ckptfs`. */
  readonly fsType: string;
  readonly source: string;
  /** The options of the mount, then those of the file system, as the kernel lists them. */
  readonly options: readonly string[];
}

/**
 * Returns the mounts that this process sees, in the order in which they were made. Accesses none of them, so it never
 * blocks.
 */
export async function readMounts(): Promise<MountInfo[]> {
  return readMountsSync();
}

/**
 * Like {@link readMounts}, but synchronous and of any process: the kernel answers from memory, which is quicker than
 * another thread that is to wait for it.
 * @param pid the process
 */
export function readMountsSync(pid: number | 'self' = 'self'): MountInfo[] {
  return parseMountInfo(readFileSync(`/proc/${pid}/mountinfo`, 'latin1'));
}

/**
 * Returns the id of the mount that an open file is on (proc_pid_fdinfo(5)), without a request to its file system; also
 * of a descriptor that was opened with O_PATH.
 */
export function mountIdOf(fd: number): number {
  return Number(/^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? Number.NaN);
}

/**
 * Returns the id of the mount that a path leads to, also where mount tables have more than one for it. Makes no request
 * to its file system, but to those on the way there.
 * @throws Error in Node's shape
 */
export function mountIdAt(path: string): number {
  const fd = openSync(path, O_PATH);
  try {
    return mountIdOf(fd);
  } finally {
    closeSync(fd);
  }
}

/** The source in mount tables of the overlay of a mount with scratch space. */
export const SCRATCH_SOURCE = 'ckptfs';

/** Returns whether a mount is the overlay of a ckptfs mount with scratch space. */
export function isScratch({ fsType: type, source }: Pick<MountInfo, 'fsType' | 'source'>): boolean {
  return type === 'overlay' && source === SCRATCH_SOURCE;
}

/** Returns whether a process serves a mount, so that an access to it waits for that process. */
export function isServedByProcess(mount: Pick<MountInfo, 'fsType' | 'source'>): boolean {
  return /^fuse(blk)?(\.|$)/.test(mount.fsType) || isScratch(mount);
}

/** Returns the topmost mount at a path: the one that hides any others there. */
export function topmostAt(mounts: readonly MountInfo[], mountPoint: string): MountInfo | undefined {
  return mounts.findLast((mount) => mount.mountPoint === mountPoint);
}

/**
 * Parses mount tables.
 * @param text a whole mountinfo file, decoded byte by byte (latin1); lines that do not parse are left out
 */
export function parseMountInfo(text: string): MountInfo[] {
  return text.split('\n').flatMap((line) => parseLine(line) ?? []);
}

function parseLine(line: string): MountInfo | undefined {
  const fields = line.split(' ');
  // The optional fields before the separator are any number of tagged words, none of which is a lone hyphen.
  const separator = fields.indexOf('-', 6);
  if (separator < 0) return undefined;
  const [id, , device, , mountPoint, mountOptions] = fields;
  const [fsType, source, superOptions] = fields.slice(separator + 1);
  if (device === undefined || mountPoint === undefined || mountOptions === undefined) return undefined;
  if (fsType === undefined || source === undefined || superOptions === undefined) return undefined;
  return {
    id: Number(id),
    mountPoint: unescaped(mountPoint),
    device,
    fsType: unescaped(fsType),
    source: unescaped(source),
    options: `${mountOptions},${superOptions}`.split(',').map(unescaped),
  };
}

/** Only characters that mean themselves. */
const IS_PLAIN = /^[\x21-\x5b\x5d-\x7e]*$/;

/**
 * Decodes a field: the kernel writes space, tab, newline and backslash as a backslash and three octal digits, in UTF-8.
 */
function unescaped(field: string): string {
  if (IS_PLAIN.test(field)) return field;
  const bytes = field.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
