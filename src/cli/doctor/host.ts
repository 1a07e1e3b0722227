import { spawnSync } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { withoutInheritance } from '../../base/linux/descriptors.ts';
import { readImageKey } from '../../keys/keyring.ts';
import { tracksWrites } from './soft-dirty.ts';

/** What the doctor looks at, as an interface, so that tests can try its judgement on other hosts. */
export interface Host {
  readonly isRoot: boolean;
  /** Undefined when the file does not exist or cannot be read. */
  readFile(path: string): string | undefined;
  names(directory: string): readonly string[];
  exists(path: string): boolean;
  mayReadAndWrite(path: string): boolean;
  /** Where a symbolic link leads, or undefined. */
  link(path: string): string | undefined;
  /** Name of the block device that holds a file (`sda2`, `dm-0`), or undefined when there is not exactly one. */
  deviceBelow(path: string): string | undefined;
  /** Path of a program, or undefined. */
  program(name: string): string | undefined;
  /** Path of the criu that `scripts/setup` has put into the user's cache (scripts/lib/criu.sh), or undefined. */
  readonly keptCriu: string | undefined;
  canOpen(path: string): boolean;
  /** Returns whether the kernel has soft-dirty tracking. */
  tracksWrites(): boolean;
  /** Returns whether this process may use the keyrings of the kernel. */
  hasKeyrings(): boolean;
  /** What a program prints, or undefined when it fails. */
  output(program: string, args: readonly string[]): string | undefined;
}

/** Directories of programs for the administrator, which an ordinary user's PATH often lacks. */
const administratorPath = ['/usr/local/sbin', '/usr/sbin', '/sbin'];

export const thisHost: Host = {
  isRoot: process.geteuid?.() === 0,
  readFile: (path) => attempt(() => readFileSync(path, 'utf8')),
  names: (directory) => attempt(() => readdirSync(directory)) ?? [],
  exists: (path) => existsSync(path),
  mayReadAndWrite: (path) => mayAccess(path, constants.R_OK | constants.W_OK),
  link: (path) => attempt(() => readlinkSync(path)),
  deviceBelow: (path) => attempt(() => basename(readlinkSync(`/sys/dev/block/${deviceNumbers(statSync(path).dev)}`))),
  keptCriu: [keptCriu()].find((path) => mayAccess(path, constants.X_OK)),
  canOpen: (path) => attempt(() => closeSync(openSync(path, 'r+')) === undefined) ?? false,
  tracksWrites: () => attempt(tracksWrites) ?? false,
  hasKeyrings: () => attempt(() => readImageKey(Buffer.alloc(16)) === undefined) ?? false,
  program(name) {
    const directories = [...(process.env['PATH'] ?? '').split(delimiter), ...administratorPath];
    return directories.map((directory) => join(directory, name)).find((path) => mayAccess(path, constants.X_OK));
  },
  output(program, args) {
    const { status, stdout } = withoutInheritance(() =>
      spawnSync(program, args, { encoding: 'utf8', timeout: 10_000, killSignal: 'SIGKILL' }),
    );
    return status === 0 ? stdout : undefined;
  },
};

function keptCriu(): string {
  return join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ckptfs', 'criu', 'bin', 'criu');
}

function mayAccess(path: string, mode: number): boolean {
  return attempt(() => accessSync(path, mode) === undefined) ?? false;
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** Returns `MAJOR:MINOR` of a device number as stat(2) reports it (makedev(3)). */
function deviceNumbers(device: number): string {
  const major = (device >>> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >>> 12) & 0xfff00);
  return `${major}:${minor}`;
}
