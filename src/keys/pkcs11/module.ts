import { realpathSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { cString } from '../../base/linux/c-strings.ts';
import { Region } from '../../base/linux/native.ts';
import { CKR, ModuleFault } from './faults.ts';
import { FunctionList } from './function-list.ts';
import type { LibraryInfo } from './structures.ts';
import { CKF_OS_LOCKING_OK, initializeArguments, LIBRARY_INFO_SIZE, readLibraryInfo } from './structures.ts';

/** Where distributions have the module of p11-kit, which gives all modules that the host is configured with. */
export const PROXIES: readonly string[] = [
  ...(process.arch === 'x64' ? ['/usr/lib/x86_64-linux-gnu/p11-kit-proxy.so'] : []),
  ...(process.arch === 'arm64' ? ['/usr/lib/aarch64-linux-gnu/p11-kit-proxy.so'] : []),
  '/usr/lib64/p11-kit-proxy.so',
  '/usr/lib/p11-kit-proxy.so',
];
const WRITABLE_BY_OTHERS = 0o022;
const DIRECTORY_OPEN_TO_ALL = 0o002;
const STICKY = 0o1000;

/** The modules that are loaded, by their real paths. */
const loaded = new Map<string, TokenModule>();

/** A module that is initialized, for all of this process that names it. */
export class TokenModule {
  /** Its real path. */
  readonly path: string;
  readonly functions: FunctionList;
  readonly #reserved: string;
  #users = 0;

  private constructor(path: string, functions: FunctionList, reserved: string) {
    this.path = path;
    this.functions = functions;
    this.#reserved = reserved;
  }

  /**
   * Loads and initializes a module, unless that was done. The code of the module runs in this process from then on.
   * @param path absolute; that of p11-kit by default
   * @param reserved a text that the module is initialized with
   * @throws CkptfsError `missing-feature`, `bad-argument`; ModuleFault
   */
  static open(path: string | undefined, reserved = '', load = FunctionList.load): TokenModule {
    const real = checkedPath(path ?? proxyPath());
    const module = loaded.get(real) ?? new TokenModule(real, loadFunctions(real, load), reserved);
    loaded.set(real, module);
    module.#begin(reserved);
    return module;
  }

  /** What it says of itself. @throws ModuleFault */
  info(): LibraryInfo {
    const region = new Region(LIBRARY_INFO_SIZE);
    this.functions.call('C_GetInfo', region.address);
    return readLibraryInfo(region);
  }

  /** Ends the use by one who opened it. The last one ends the module, whose code stays loaded. */
  close(): void {
    if (--this.#users > 0) return;
    loaded.delete(this.path);
    this.functions.try('C_Finalize', 0);
  }

  #begin(reserved: string): void {
    if (this.#users > 0 && reserved !== this.#reserved) {
      throw new CkptfsError('bad-argument', `module ${this.path} is in use with another text of x-init-reserved`);
    }
    if (this.#users === 0) this.#initialize();
    this.#users++;
  }

  #initialize(): void {
    const text = this.#reserved === '' ? undefined : cString(this.#reserved);
    // Some modules have no locks, which one thread does not need.
    const [locking, bare] = [CKF_OS_LOCKING_OK, 0].map((flags) => initializeArguments(flags, text)) as [Region, Region];
    let returned = this.functions.try('C_Initialize', locking.address);
    if (returned === CKR.CANT_LOCK) returned = this.functions.try('C_Initialize', bare.address);
    if (returned === CKR.OK || returned === CKR.CRYPTOKI_ALREADY_INITIALIZED) return;
    throw new ModuleFault(`C_Initialize of ${this.path}`, returned);
  }
}

function loadFunctions(path: string, load: typeof FunctionList.load): FunctionList {
  try {
    return load(path);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw notLoaded(`${path} is no PKCS #11 module that can be loaded: ${message.split('\n', 1)[0]}`, cause);
  }
}

function proxyPath(): string {
  const found = PROXIES.find((path) => statSync(path, { throwIfNoEntry: false }) !== undefined);
  if (found !== undefined) return found;
  throw notLoaded('no PKCS #11 module is named, and p11-kit-proxy.so is not installed');
}

/**
 * Returns the real path of a module whose code other users cannot change.
 * @throws CkptfsError `missing-feature` when it is not there; `bad-argument`
 */
function checkedPath(path: string): string {
  let real: string;
  let file: Stats;
  let directories: Stats[];
  try {
    real = realpathSync(path);
    file = statSync(real);
    directories = directoriesAbove(real).map((each) => statSync(each));
  } catch (cause) {
    throw notLoaded(ioError('load module', path, cause).message, cause);
  }
  if (!file.isFile()) throw refused(path, 'is no file');
  if (isOfAnother(file)) throw refused(path, 'belongs to another user');
  const isOpen = ({ mode }: Stats): boolean => (mode & DIRECTORY_OPEN_TO_ALL) !== 0 && (mode & STICKY) === 0;
  // The owner of a directory could put another file in its place, after it was looked at.
  if (directories.some((each) => isOpen(each) || isOfAnother(each)) || (file.mode & WRITABLE_BY_OTHERS) !== 0)
    throw refused(path, 'can be changed by other users');
  return real;
}

function isOfAnother({ uid }: Stats): boolean {
  return ![0, process.geteuid?.()].includes(uid);
}

function directoriesAbove(path: string): string[] {
  const directory = dirname(path);
  return directory === path ? [] : [directory, ...directoriesAbove(directory)];
}

function refused(path: string, why: string): CkptfsError {
  return new CkptfsError('bad-argument', `module ${path} ${why}, so that its code is not run`, { path });
}

function notLoaded(message: string, cause?: unknown): CkptfsError {
  return new CkptfsError('missing-feature', message, { data: { feature: 'pkcs11' }, cause });
}
