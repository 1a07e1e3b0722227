import { Opcode } from './abi.ts';
import { setattr } from './attributes.ts';
import { countedOpcodes } from './counters.ts';
import { readDirectory, readDirectoryPlus } from './directories.ts';
import type { Handler, WritingHandler } from './exchange.ts';
import { flush, lseek, open, openDirectory, read, sync } from './files.ts';
import { batchForget, forget } from './forgets.ts';
import { create, link, mkdir, mknod, rename, rename2, rmdir, symlink, unlink } from './names.ts';
import { access, getattr, lookup, readlink } from './nodes.ts';
import { acknowledge, init, statfs } from './session.ts';
import { fallocate, write } from './writes.ts';
import { getxattr, listxattr, removexattr, setxattr } from './xattrs.ts';

export type Operation = ReadingOperation | WritingOperation;

/** One that every file system has. Where there is no handler the answer is ENOSYS, and the kernel then does without. */
interface ReadingOperation {
  /** As in the kernel's header, without FUSE_. */
  readonly name: string;
  /** - `session`: about the mount, about closing, or through an open descriptor: not about access, so served to every user. */
  readonly kind: 'session' | 'reads';
  readonly handle: Handler | undefined;
}

/** One for file systems that can be changed; likewise. */
export interface WritingOperation {
  readonly name: string;
  /**
   * - `mutates`: answered with EROFS by a file system that never changes.
   * - `writes`: likewise; through an open descriptor, so served to every user.
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
 * Left without handler on purpose: STATX, asked only for a birth time, after which the kernel is content with GETATTR; SYNCFS and the
 * lock operations, which are asked only of servers that said they want them (the kernel keeps the locks itself); BMAP, IOCTL and POLL.
 */
const reading: readonly Row<ReadingOperation>[] = [
  [Opcode.FUSE_LOOKUP, 'LOOKUP', 'reads', lookup],
  [Opcode.FUSE_GETATTR, 'GETATTR', 'reads', getattr],
  [Opcode.FUSE_READLINK, 'READLINK', 'reads', readlink],
  [Opcode.FUSE_OPEN, 'OPEN', 'reads', open],
  // READ and READDIR go through an open descriptor: their user was checked at OPEN and may have passed it on.
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
 * Left without handler on purpose: COPY_FILE_RANGE in both forms, which the kernel then does by reading and writing, and TMPFILE,
 * after which O_TMPFILE is EOPNOTSUPP and programs take a name.
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
  // Also what was written to a mapping comes so, on nobody's behalf.
  [Opcode.FUSE_WRITE, 'WRITE', 'writes', write],
  [Opcode.FUSE_SETXATTR, 'SETXATTR', 'mutates', setxattr],
  [Opcode.FUSE_REMOVEXATTR, 'REMOVEXATTR', 'mutates', removexattr],
  [Opcode.FUSE_CREATE, 'CREATE', 'mutates', create],
  // Requests are answered in the order they are read and none waits for another, so there is nothing to interrupt.
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

/** What an opcode stands for; `unknown` for one this version has never heard of. */
export function operationOf(opcode: number): Operation {
  return operations[opcode] ?? unknownOperation;
}
