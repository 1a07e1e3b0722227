import { readFileSync, readlinkSync } from 'node:fs';
import { namesIn } from '../../base/listing.ts';
import { printable } from '../../base/printable.ts';
import type { MountInfo } from '../../fuse/mount/mountinfo.ts';
import { readMounts } from '../../fuse/mount/mountinfo.ts';

/** A process that keeps a mount in use. */
interface Holder {
  readonly pid: number;
  /** The name in /proc/PID/comm. */
  readonly command: string;
}

interface HolderOptions {
  /** Whether to look at mappings. Reading those of a process with threads blocks while it waits for a page. */
  readonly maps: boolean;
}

/**
 * Returns the processes that have a file or directory of a mount open, mapped, or as their working or root directory,
 * as far as this process may look. Reads only what the kernel tells about processes, and never touches the mount.
 */
export function holdersOf(found: MountInfo, { maps }: HolderOptions = { maps: true }): Holder[] {
  const holders: Holder[] = [];
  for (const name of namesIn('/proc')) {
    if (!/^[0-9]+$/.test(name) || !holds(`/proc/${name}`, found, maps)) continue;
    holders.push({ pid: Number(name), command: text(`/proc/${name}/comm`).replace(/\n$/, '') });
  }
  return holders;
}

/** Returns the mount points below a mount, which keep it in use as well. */
async function mountsBelow({ mountPoint }: MountInfo): Promise<string[]> {
  const mounts = await readMounts();
  return mounts.map((mount) => mount.mountPoint).filter((path) => path !== mountPoint && isWithin(path, mountPoint));
}

/** Names what uses a mount, for a message: `bash (pid 123), tail (pid 130)`. Empty if nothing is found. */
export async function describeHolders(found: MountInfo, options?: HolderOptions): Promise<string> {
  const processes = holdersOf(found, options).map(({ command, pid }) => `${printable(command)} (pid ${pid})`);
  const mounts = (await mountsBelow(found)).map((path) => `a mount on ${printable(path)}`);
  return [...processes, ...mounts].join(', ');
}

function holds(process: string, { mountPoint, device }: MountInfo, lookAtMaps: boolean): boolean {
  const links = [
    ...['cwd', 'root', 'exe'].map((name) => `${process}/${name}`),
    ...namesIn(`${process}/fd`).map((fd) => `${process}/fd/${fd}`),
  ];
  return links.some((link) => isWithin(target(link), mountPoint)) || (lookAtMaps && maps(process, device));
}

function maps(process: string, device: string): boolean {
  const [major = 0, minor = 0] = device.split(':').map(Number);
  const shown = `${hex(major)}:${hex(minor)}`;
  return text(`${process}/maps`)
    .split('\n')
    .some((line) => line.split(' ')[3] === shown);
}

function hex(number: number): string {
  return number.toString(16).padStart(2, '0');
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);
}

function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
