import { Opcode } from '../protocol/abi.ts';
import { COUNTED_OPCODES } from '../protocol/counters.ts';
import type { Handler, WritingHandler } from '../protocol/exchange.ts';
import { setattr } from './attributes.ts';
import { readDirectory, readDirectoryPlus } from './directories.ts';
import { flush, lseek, open, openDirectory, read, release, sync } from './files.ts';
import { batchForget, forget } from './forgets.ts';
import { create, link, mkdir, mknod, rename, rename2, rmdir, symlink, unlink } from './names.ts';
import { access, getattr, lookup, readlink } from './nodes.ts';
import { acknowledge, init, statfs } from './session.ts';
import { fallocate, write } from './writes.ts';
import { getxattr, listxattr, removexattr, setxattr } from './xattrs.ts';

export type Operation = AnsweredOperation | SilentOperation;

export type AnsweredOperation = ReadingOperation | ChangingOperation;

/**
 * Who may ask for an operation where only one user is served:
 * - `one-user`: that user and root.
 * - `anyone`: every process. The request is about the mount, or goes through an open descriptor: the user was checked
 *   when that was opened, and may have passed it on. Written pages of a mapping name no user at all.
 */
type Askers = 'one-user' | 'anyone';

/** An operation of every file system. Without a handler the answer is ENOSYS, and the kernel then does without it. */
interface ReadingOperation {
  readonly kind: 'reads';
  /** The name in the kernel's header, without FUSE_. */
  readonly name: string;
  readonly askers: Askers;
  readonly handle: Handler | undefined;
}

/** Like {@link ReadingOperation}, but the answer of an immutable file system is EROFS. */
interface ChangingOperation {
  readonly kind: 'changes';
  readonly name: string;
  readonly askers: Askers;
  readonly handle: WritingHandler | undefined;
}

/** An operation without a reply, of file systems that can be changed. Without a handler it is ignored. */
export interface SilentOperation {
  readonly kind: 'silent';
  readonly name: string;
  readonly handle: WritingHandler | undefined;
}

type Row<AnyHandler> = readonly [opcode: number, name: string, askers: Askers, handle?: AnyHandler];

/**
 * These have no handler on purpose: STATX, which is sent only for a birth time, and after which the kernel uses
 * GETATTR; SYNCFS and the lock operations, which are sent only to servers that request them (the kernel keeps the locks
 * itself); BMAP, IOCTL and POLL.
 */
const reading: readonly Row<Handler>[] = [
  [Opcode.FUSE_LOOKUP, 'LOOKUP', 'one-user', lookup],
  [Opcode.FUSE_GETATTR, 'GETATTR', 'one-user', getattr],
  [Opcode.FUSE_READLINK, 'READLINK', 'one-user', readlink],
  [Opcode.FUSE_OPEN, 'OPEN', 'one-user', open],
  [Opcode.FUSE_READ, 'READ', 'anyone', read],
  [Opcode.FUSE_STATFS, 'STATFS', 'one-user', statfs],
  [Opcode.FUSE_RELEASE, 'RELEASE', 'anyone', release],
  [Opcode.FUSE_FSYNC, 'FSYNC', 'anyone', sync],
  [Opcode.FUSE_GETXATTR, 'GETXATTR', 'one-user', getxattr],
  [Opcode.FUSE_LISTXATTR, 'LISTXATTR', 'one-user', listxattr],
  [Opcode.FUSE_FLUSH, 'FLUSH', 'anyone', flush],
  [Opcode.FUSE_INIT, 'INIT', 'anyone', init],
  [Opcode.FUSE_OPENDIR, 'OPENDIR', 'one-user', openDirectory],
  [Opcode.FUSE_READDIR, 'READDIR', 'anyone', readDirectory],
  [Opcode.FUSE_RELEASEDIR, 'RELEASEDIR', 'anyone', acknowledge],
  [Opcode.FUSE_FSYNCDIR, 'FSYNCDIR', 'anyone', sync],
  [Opcode.FUSE_GETLK, 'GETLK', 'one-user'],
  [Opcode.FUSE_SETLK, 'SETLK', 'one-user'],
  [Opcode.FUSE_SETLKW, 'SETLKW', 'one-user'],
  [Opcode.FUSE_ACCESS, 'ACCESS', 'one-user', access],
  [Opcode.FUSE_BMAP, 'BMAP', 'one-user'],
  [Opcode.FUSE_DESTROY, 'DESTROY', 'anyone', acknowledge],
  [Opcode.FUSE_IOCTL, 'IOCTL', 'one-user'],
  [Opcode.FUSE_POLL, 'POLL', 'one-user'],
  [Opcode.FUSE_READDIRPLUS, 'READDIRPLUS', 'anyone', readDirectoryPlus],
  [Opcode.FUSE_LSEEK, 'LSEEK', 'anyone', lseek],
  [Opcode.FUSE_SETUPMAPPING, 'SETUPMAPPING', 'one-user'],
  [Opcode.FUSE_REMOVEMAPPING, 'REMOVEMAPPING', 'one-user'],
  [Opcode.FUSE_SYNCFS, 'SYNCFS', 'one-user'],
  [Opcode.FUSE_STATX, 'STATX', 'one-user'],
];

/**
 * These have no handler on purpose: COPY_FILE_RANGE in both forms, which the kernel then does by reading and writing;
 * and TMPFILE: O_TMPFILE is then EOPNOTSUPP, and programs use a named file.
 */
const changing: readonly Row<WritingHandler>[] = [
  [Opcode.FUSE_SETATTR, 'SETATTR', 'one-user', setattr],
  [Opcode.FUSE_SYMLINK, 'SYMLINK', 'one-user', symlink],
  [Opcode.FUSE_MKNOD, 'MKNOD', 'one-user', mknod],
  [Opcode.FUSE_MKDIR, 'MKDIR', 'one-user', mkdir],
  [Opcode.FUSE_UNLINK, 'UNLINK', 'one-user', unlink],
  [Opcode.FUSE_RMDIR, 'RMDIR', 'one-user', rmdir],
  [Opcode.FUSE_RENAME, 'RENAME', 'one-user', rename],
  [Opcode.FUSE_LINK, 'LINK', 'one-user', link],
  [Opcode.FUSE_WRITE, 'WRITE', 'anyone', write],
  [Opcode.FUSE_SETXATTR, 'SETXATTR', 'one-user', setxattr],
  [Opcode.FUSE_REMOVEXATTR, 'REMOVEXATTR', 'one-user', removexattr],
  [Opcode.FUSE_CREATE, 'CREATE', 'one-user', create],
  [Opcode.FUSE_FALLOCATE, 'FALLOCATE', 'anyone', fallocate],
  [Opcode.FUSE_RENAME2, 'RENAME2', 'one-user', rename2],
  [Opcode.FUSE_COPY_FILE_RANGE, 'COPY_FILE_RANGE', 'anyone'],
  [Opcode.FUSE_TMPFILE, 'TMPFILE', 'one-user'],
  [Opcode.FUSE_COPY_FILE_RANGE_64, 'COPY_FILE_RANGE_64', 'anyone'],
];

const silent: readonly (readonly [opcode: number, name: string, handle?: WritingHandler])[] = [
  [Opcode.FUSE_FORGET, 'FORGET', forget],
  // Requests are answered in the order in which they are read, and none waits for another: there is nothing to
  // interrupt.
  [Opcode.FUSE_INTERRUPT, 'INTERRUPT'],
  [Opcode.FUSE_NOTIFY_REPLY, 'NOTIFY_REPLY'],
  [Opcode.FUSE_BATCH_FORGET, 'BATCH_FORGET', batchForget],
];

const unknownOperation: Operation = { kind: 'reads', name: 'unknown', askers: 'one-user', handle: undefined };

const operations: Operation[] = new Array<Operation>(COUNTED_OPCODES).fill(unknownOperation);
for (const [opcode, name, askers, handle] of reading) operations[opcode] = { kind: 'reads', name, askers, handle };
for (const [opcode, name, askers, handle] of changing) operations[opcode] = { kind: 'changes', name, askers, handle };
for (const [opcode, name, handle] of silent) operations[opcode] = { kind: 'silent', name, handle };

/** Returns the operation of an opcode; one called `unknown` for an opcode that ckptfs does not know. */
export function operationOf(opcode: number): Operation {
  return operations[opcode] ?? unknownOperation;
}
