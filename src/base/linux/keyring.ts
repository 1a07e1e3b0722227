import { arch, constants } from 'node:os';
import { CkptfsError } from '../errors.ts';
import { cString } from './c-strings.ts';
import { bind, lastErrno, type Region } from './native.ts';
import { systemError } from './system-error.ts';

/** The kernel's keys and keyrings (keyrings(7)), by system calls: the C library has no functions for them. */

/** The numbers of add_key(2) and keyctl(2), from the kernel's tables. */
const CALL_NUMBERS: Readonly<Record<string, { readonly addKey: number; readonly keyctl: number }>> = {
  x64: { addKey: 248, keyctl: 250 },
  arm64: { addKey: 217, keyctl: 219 },
};

/** The special serial numbers, operations and permissions of linux/keyctl.h. */
export const KEYRINGS = { thread: -1, session: -3, user: -4, userSession: -5 } as const;
const OPERATIONS = {
  setPermissions: 5,
  link: 8,
  unlink: 9,
  search: 10,
  read: 11,
  setTimeout: 15,
  invalidate: 21,
} as const;
const VIEW = 1;
const READ = 2;
const SEARCH = 8;
const POSSESSOR = 24;
const USER = 16;

const KEY_TYPE = cString('user');

const syscall = bind('syscall', 'int64_t', ['int64_t', 'int64_t', 'int64_t', 'int64_t', 'int64_t', 'int64_t']);

/** A keyring: one of {@link KEYRINGS}, or a serial number. */
type Keyring = number;

/** Makes a key of type `user` in a keyring, or replaces what has its name. Returns its serial number. @throws Error */
export function addUserKey(keyring: Keyring, name: string, payload: Region): number {
  const description = cString(name);
  return called('add_key', numbers().addKey, [
    KEY_TYPE.address,
    description.address,
    payload.address,
    payload.length,
    keyring,
  ]);
}

/** Finds a key of type `user` in a keyring and those that it links to. Returns its serial number. @throws Error */
export function searchKeyring(keyring: Keyring, name: string): number {
  const description = cString(name);
  return keyctl(OPERATIONS.search, keyring, KEY_TYPE.address, description.address, 0);
}

/** Reads a key. Returns the length of what it holds, of which only what fits is in `into`. @throws Error */
export function readUserKey(key: number, into: Region): number {
  return keyctl(OPERATIONS.read, key, into.address, into.length);
}

/** Links a key into a keyring, in place of the one of its name. @throws Error */
export function linkKey(key: number, keyring: Keyring): void {
  keyctl(OPERATIONS.link, key, keyring);
}

/** @throws Error */
export function unlinkKey(key: number, keyring: Keyring): void {
  keyctl(OPERATIONS.unlink, key, keyring);
}

/** Lets the kernel end a key after so many seconds, at least 1. @throws Error */
export function setKeyTimeout(key: number, seconds: number): void {
  keyctl(OPERATIONS.setTimeout, key, seconds);
}

/** Lets only its possessor and its user see, read and find a key. @throws Error */
export function keepKeyToUser(key: number): void {
  const rights = VIEW | READ | SEARCH;
  keyctl(OPERATIONS.setPermissions, key, (rights << POSSESSOR) | (rights << USER));
}

/** Ends a key at once; the kernel overwrites what it held. @throws Error */
export function invalidateKey(key: number): void {
  keyctl(OPERATIONS.invalidate, key);
}

function keyctl(operation: number, a: number, b = 0, c = 0, d = 0): number {
  return called('keyctl', numbers().keyctl, [operation, a, b, c, d]);
}

function called(name: string, number: number, args: readonly number[]): number {
  const result = syscall(number, ...args);
  if (result >= 0) return result;
  const errno = lastErrno();
  // EPERM is what the seccomp filters of containers answer.
  if (errno === constants.errno.ENOSYS || errno === constants.errno.EPERM) throw missing();
  throw systemError(name, errno);
}

function numbers() {
  const known = CALL_NUMBERS[arch()];
  if (known === undefined) throw missing();
  return known;
}

function missing(): CkptfsError {
  return new CkptfsError('missing-feature', 'this system does not let this process use the keyrings of the kernel', {
    data: { feature: 'keyring' },
  });
}
