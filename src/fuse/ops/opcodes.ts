import { Opcode } from '../protocol/abi.ts';
import { countedOpcodes } from '../protocol/counters.ts';
import type { Handler, WritingHandler } from '../protocol/exchange.ts';
import { setattr } from './attributes.ts';
import { readDirectory, readDirectoryPlus } from './directories.ts';
import { flush, lseek, open, openDirectory, read, sync } from './files.ts';
import { batchForget, forget } from './forgets.ts';
import { create, link, mkdir, mknod, rename, rename2, rmdir, symlink, unlink } from './names.ts';
import { access, getattr, lookup, readlink } from './nodes.ts';
import { acknowledge, init, statfs } from './session.ts';
import { fallocate, write } from './writes.ts';
import { getxattr, listxattr, removexattr, setxattr } from './xattrs.ts';

export type Operation = ReadingOperation | WritingOperation;

/**
 * An operation of every file system. Without a handler the answer is ENOSYS, and the kernel then manages without it.
 */
interface ReadingOperation {
  /** The name in the kernel's header, without FUSE_. */
  readonly name: string;
  /**
   * - `session`: concerns the mount or an open descriptor, so needs no check of the user.
   * - `reads`: reads a node; the user is checked where only one is served.
   */
  readonly kind: 'session' | 'reads';
  readonly handle: Handler | undefined;
}

/** An operation of file systems that can be changed; without a handler like {@link ReadingOperation}. */
export interface WritingOperation {
  readonly name: string;
  /**
   * - `mutates`: changes a node by name or number; EROFS on an immutable file system.
   * - `writes`: like `mutates`, but through an open descriptor, so needs no check of the user.
   * - `silent`: the kernel expects no reply.
   */
  readonly kind: 'mutates' | 'writes' | 'silent';
  readonly handle: WritingHandler | undefined;
}

type Row<Kind extends Operation> = readonly [
  opcode: number,
  name: string,
  kind: Kind['kind'],
  handle?: NonNullable<Kind['handle']>,
];

/**
 * These have no handler on purpose: STATX, which is sent only for a birth time, and after which the kernel uses
 * GETATTR; SYNCFS and the lock operations, which are sent only to servers that request them (the kernel keeps the locks
 * itself); BMAP, IOCTL and POLL.
 */
const reading: readonly Row<ReadingOperation>[] = [
  [Opcode.FUSE_LOOKUP, 'LOOKUP', 'reads', lookup],
  [Opcode.FUSE_GETATTR, 'GETATTR', 'reads', getattr],
  [Opcode.FUSE_READLINK, 'READLINK', 'reads', readlink],
  [Opcode.FUSE_OPEN, 'OPEN', 'reads', open],
  // READ and READDIR go through an open descriptor: the user was checked at OPEN and may have passed the descriptor on.
  [Opcode.FUSE_READ, 'READ', 'session', read],
  [Opcode.FUSE_STATFS, 'STATFS', 'reads', statfs],
  [Opcode.FUSE_RELEASE, 'RELEASE', 'session', acknowledge],
  [Opcode.FUSE_FSYNC, 'FSYNC', 'session', sync],
  [Opcode.FUSE_GETXATTR, 'GETXATTR', 'reads', getxattr],
  [Opcode.FUSE_LISTXATTR, 'LISTXATTR', 'reads', listxattr],
  [Opcode.FUSE_FLUSH, 'FLUSH', 'session', flush],
  [Opcode.FUSE_INIT, 'INIT', 'session', init],
  [Opcode.FUSE_OPENDIR, 'OPENDIR', 'reads', openDirectory],
  [Opcode.FUSE_READDIR, 'READDIR', 'session', readDirectory],
  [Opcode.FUSE_RELEASEDIR, 'RELEASEDIR', 'session', acknowledge],
  [Opcode.FUSE_FSYNCDIR, 'FSYNCDIR', 'session', sync],
  [Opcode.FUSE_GETLK, 'GETLK', 'reads'],
  [Opcode.FUSE_SETLK, 'SETLK', 'reads'],
  [Opcode.FUSE_SETLKW, 'SETLKW', 'reads'],
  [Opcode.FUSE_ACCESS, 'ACCESS', 'reads', access],
  [Opcode.FUSE_BMAP, 'BMAP', 'reads'],
  [Opcode.FUSE_DESTROY, 'DESTROY', 'session', acknowledge],
  [Opcode.FUSE_IOCTL, 'IOCTL', 'reads'],
  [Opcode.FUSE_POLL, 'POLL', 'reads'],
  [Opcode.FUSE_READDIRPLUS, 'READDIRPLUS', 'session', readDirectoryPlus],
  [Opcode.FUSE_LSEEK, 'LSEEK', 'session', lseek],
  [Opcode.FUSE_SETUPMAPPING, 'SETUPMAPPING', 'reads'],
  [Opcode.FUSE_REMOVEMAPPING, 'REMOVEMAPPING', 'reads'],
  [Opcode.FUSE_SYNCFS, 'SYNCFS', 'reads'],
  [Opcode.FUSE_STATX, 'STATX', 'reads'],
];

/**
 * These have no handler on purpose: COPY_FILE_RANGE in both forms, which the kernel then does by reading and writing;
 * and TMPFILE: O_TMPFILE is then EOPNOTSUPP, and programs use a named file.
 */
const writing: readonly Row<WritingOperation>[] = [
  [Opcode.FUSE_FORGET, 'FORGET', 'silent', forget],
  [Opcode.FUSE_SETATTR, 'SETATTR', 'mutates', setattr],
  [Opcode.FUSE_SYMLINK, 'SYMLINK', 'mutates', symlink],
  [Opcode.FUSE_MKNOD, 'MKNOD', 'mutates', mknod],
  [Opcode.FUSE_MKDIR, 'MKDIR', 'mutates', mkdir],
  [Opcode.FUSE_UNLINK, 'UNLINK', 'mutates', unlink],
  [Opcode.FUSE_RMDIR, 'RMDIR', 'mutates', rmdir],
  [Opcode.FUSE_RENAME, 'RENAME', 'mutates', rename],
  [Opcode.FUSE_LINK, 'LINK', 'mutates', link],
  // Pages written through a mapping come as WRITE too, and name no user.
  [Opcode.FUSE_WRITE, 'WRITE', 'writes', write],
  [Opcode.FUSE_SETXATTR, 'SETXATTR', 'mutates', setxattr],
  [Opcode.FUSE_REMOVEXATTR, 'REMOVEXATTR', 'mutates', removexattr],
  [Opcode.FUSE_CREATE, 'CREATE', 'mutates', create],
  // Requests are answered in the order in which they are read, and none waits for another: there is nothing to
  // interrupt.
  [Opcode.FUSE_INTERRUPT, 'INTERRUPT', 'silent'],
  [Opcode.FUSE_NOTIFY_REPLY, 'NOTIFY_REPLY', 'silent'],
  [Opcode.FUSE_BATCH_FORGET, 'BATCH_FORGET', 'silent', batchForget],
  [Opcode.FUSE_FALLOCATE, 'FALLOCATE', 'writes', fallocate],
  [Opcode.FUSE_RENAME2, 'RENAME2', 'mutates', rename2],
  [Opcode.FUSE_COPY_FILE_RANGE, 'COPY_FILE_RANGE', 'writes'],
  [Opcode.FUSE_TMPFILE, 'TMPFILE', 'mutates'],
  [Opcode.FUSE_COPY_FILE_RANGE_64, 'COPY_FILE_RANGE_64', 'writes'],
];

const unknownOperation: Operation = { name: 'unknown', kind: 'reads', handle: undefined };

const operations: Operation[] = new Array<Operation>(countedOpcodes).fill(unknownOperation);
for (const [opcode, name, kind, handle] of reading) operations[opcode] = { name, kind, handle };
for (const [opcode, name, kind, handle] of writing) operations[opcode] = { name, kind, handle };

/** Returns the operation of an opcode; one called `unknown` for an opcode that ckptfs does not know. */
export function operationOf(opcode: number): Operation {
  return operations[opcode] ?? unknownOperation;
}
