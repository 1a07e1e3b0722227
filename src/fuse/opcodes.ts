import { Opcode } from './abi.ts';
import { countedOpcodes } from './counters.ts';
import { readDirectory, readDirectoryPlus } from './directories.ts';
import type { Handler } from './exchange.ts';
import { flush, lseek, open, openDirectory, read } from './files.ts';
import { access, getattr, lookup, readlink } from './nodes.ts';
import { acknowledge, init, statfs } from './session.ts';
import { getxattr, listxattr } from './xattrs.ts';

export interface Operation {
  /** As in the kernel's header, without FUSE_. */
  readonly name: string;
  /**
   * - `session`: about the mount or about closing, not about access: served to every user.
   * - `reads`: answered with ENOSYS where there is no handler. The kernel then does without.
   * - `mutates`: answered with EROFS where there is no handler.
   * - `silent`: the kernel expects no reply.
   */
  readonly kind: 'session' | 'reads' | 'mutates' | 'silent';
  readonly handle: Handler | undefined;
}

type Row = readonly [opcode: number, name: string, kind: Operation['kind'], handle?: Handler];

/**
 * Left without handler on purpose: STATX, asked only for a birth time, after which the kernel is content with GETATTR; the
 * lock operations and SYNCFS, which are asked only of servers that said they want them; BMAP, IOCTL and POLL.
 */
const rows: readonly Row[] = [
  [Opcode.FUSE_LOOKUP, 'LOOKUP', 'reads', lookup],
  [Opcode.FUSE_FORGET, 'FORGET', 'silent'],
  [Opcode.FUSE_GETATTR, 'GETATTR', 'reads', getattr],
  [Opcode.FUSE_SETATTR, 'SETATTR', 'mutates'],
  [Opcode.FUSE_READLINK, 'READLINK', 'reads', readlink],
  [Opcode.FUSE_SYMLINK, 'SYMLINK', 'mutates'],
  [Opcode.FUSE_MKNOD, 'MKNOD', 'mutates'],
  [Opcode.FUSE_MKDIR, 'MKDIR', 'mutates'],
  [Opcode.FUSE_UNLINK, 'UNLINK', 'mutates'],
  [Opcode.FUSE_RMDIR, 'RMDIR', 'mutates'],
  [Opcode.FUSE_RENAME, 'RENAME', 'mutates'],
  [Opcode.FUSE_LINK, 'LINK', 'mutates'],
  [Opcode.FUSE_OPEN, 'OPEN', 'reads', open],
  // READ and READDIR go through an open descriptor: their user was checked at OPEN and may have passed it on.
  [Opcode.FUSE_READ, 'READ', 'session', read],
  [Opcode.FUSE_WRITE, 'WRITE', 'mutates'],
  [Opcode.FUSE_STATFS, 'STATFS', 'reads', statfs],
  [Opcode.FUSE_RELEASE, 'RELEASE', 'session', acknowledge],
  [Opcode.FUSE_FSYNC, 'FSYNC', 'session', flush],
  [Opcode.FUSE_SETXATTR, 'SETXATTR', 'mutates'],
  [Opcode.FUSE_GETXATTR, 'GETXATTR', 'reads', getxattr],
  [Opcode.FUSE_LISTXATTR, 'LISTXATTR', 'reads', listxattr],
  [Opcode.FUSE_REMOVEXATTR, 'REMOVEXATTR', 'mutates'],
  [Opcode.FUSE_FLUSH, 'FLUSH', 'session', flush],
  [Opcode.FUSE_INIT, 'INIT', 'session', init],
  [Opcode.FUSE_OPENDIR, 'OPENDIR', 'reads', openDirectory],
  [Opcode.FUSE_READDIR, 'READDIR', 'session', readDirectory],
  [Opcode.FUSE_RELEASEDIR, 'RELEASEDIR', 'session', acknowledge],
  [Opcode.FUSE_FSYNCDIR, 'FSYNCDIR', 'session', flush],
  [Opcode.FUSE_GETLK, 'GETLK', 'reads'],
  [Opcode.FUSE_SETLK, 'SETLK', 'reads'],
  [Opcode.FUSE_SETLKW, 'SETLKW', 'reads'],
  [Opcode.FUSE_ACCESS, 'ACCESS', 'reads', access],
  [Opcode.FUSE_CREATE, 'CREATE', 'mutates'],
  // Requests are answered in the order they are read and none waits for another, so there is nothing to interrupt.
  [Opcode.FUSE_INTERRUPT, 'INTERRUPT', 'silent'],
  [Opcode.FUSE_BMAP, 'BMAP', 'reads'],
  [Opcode.FUSE_DESTROY, 'DESTROY', 'session', acknowledge],
  [Opcode.FUSE_IOCTL, 'IOCTL', 'reads'],
  [Opcode.FUSE_POLL, 'POLL', 'reads'],
  [Opcode.FUSE_NOTIFY_REPLY, 'NOTIFY_REPLY', 'silent'],
  [Opcode.FUSE_BATCH_FORGET, 'BATCH_FORGET', 'silent'],
  [Opcode.FUSE_FALLOCATE, 'FALLOCATE', 'mutates'],
  [Opcode.FUSE_READDIRPLUS, 'READDIRPLUS', 'session', readDirectoryPlus],
  [Opcode.FUSE_RENAME2, 'RENAME2', 'mutates'],
  [Opcode.FUSE_LSEEK, 'LSEEK', 'session', lseek],
  [Opcode.FUSE_COPY_FILE_RANGE, 'COPY_FILE_RANGE', 'mutates'],
  [Opcode.FUSE_SETUPMAPPING, 'SETUPMAPPING', 'reads'],
  [Opcode.FUSE_REMOVEMAPPING, 'REMOVEMAPPING', 'reads'],
  [Opcode.FUSE_SYNCFS, 'SYNCFS', 'reads'],
  [Opcode.FUSE_TMPFILE, 'TMPFILE', 'mutates'],
  [Opcode.FUSE_STATX, 'STATX', 'reads'],
  [Opcode.FUSE_COPY_FILE_RANGE_64, 'COPY_FILE_RANGE_64', 'mutates'],
];

const unknownOperation: Operation = { name: 'unknown', kind: 'reads', handle: undefined };

const operations: Operation[] = new Array<Operation>(countedOpcodes).fill(unknownOperation);
for (const [opcode, name, kind, handle] of rows) operations[opcode] = { name, kind, handle };

/** What an opcode stands for; `unknown` for one this version has never heard of. */
export function operationOf(opcode: number): Operation {
  return operations[opcode] ?? unknownOperation;
}
