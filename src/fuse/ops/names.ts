import { Errno } from '../../base/errno.ts';
import type { RenameMode } from '../../base/names.ts';
import {
  FOPEN_DIRECT_IO,
  FOPEN_KEEP_CACHE,
  fuse_create_in,
  fuse_link_in,
  fuse_mkdir_in,
  fuse_mknod_in,
  fuse_rename_in,
  fuse_rename2_in,
  RENAME_EXCHANGE,
  RENAME_NOREPLACE,
  S_IFIFO,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from '../protocol/abi.ts';
import { replyEntry, type WritingExchange } from '../protocol/exchange.ts';
import type { MeetingType } from '../protocol/filesystem.ts';
import { replyOpened } from './files.ts';

/** The bits of st_mode for PERMISSIONS, set-user-id, set-group-id and sticky. */
const PERMISSIONS = 0o7777;
const DOT = 0x2e;

/**
 * Answers FUSE_CREATE: makes a regular file and opens it. The kernel sends it only when it knows that the name does not
 * exist, so making the file keeps O_EXCL, and O_TRUNC has nothing to do. With FOPEN_DIRECT_IO the pages of a write go
 * from the memory of the program, or from the pipe that it splices, straight into the request.
 */
export function create(exchange: WritingExchange): number {
  const { fileSystem, request, reply } = exchange;
  const mode = request.u32(fuse_create_in.mode) & PERMISSIONS;
  const name = checked(request.name(fuse_create_in.sizeof));
  const made = fileSystem.create(request.node, name, mode, request.caller());
  const isDirect = exchange.session.isDirectCoherent && fileSystem.createsDirect(name, request.thread());
  const size = replyEntry(exchange, 0, made);
  return size + replyOpened(reply, size, isDirect ? FOPEN_KEEP_CACHE | FOPEN_DIRECT_IO : FOPEN_KEEP_CACHE);
}

/**
 * Answers FUSE_MKNOD, also for bind(2) of a socket. Devices are refused with EPERM, like on file systems that have
 * none.
 */
export function mknod(exchange: WritingExchange): number {
  const { fileSystem, request } = exchange;
  const mode = request.u32(fuse_mknod_in.mode);
  const name = checked(request.name(fuse_mknod_in.sizeof));
  const type = mode & S_IFMT;
  if (type === S_IFREG) {
    return replyEntry(exchange, 0, fileSystem.create(request.node, name, mode & PERMISSIONS, request.caller()));
  }
  const made = fileSystem.mknod(request.node, name, meetingType(type), mode & PERMISSIONS, request.caller());
  return replyEntry(exchange, 0, made);
}

function meetingType(type: number): MeetingType {
  if (type === S_IFIFO) return 'fifo';
  if (type === S_IFSOCK) return 'socket';
  throw Errno.of('EPERM');
}

/** Answers FUSE_MKDIR. */
export function mkdir(exchange: WritingExchange): number {
  const { fileSystem, request } = exchange;
  const mode = request.u32(fuse_mkdir_in.mode) & PERMISSIONS;
  const name = checked(request.name(fuse_mkdir_in.sizeof));
  return replyEntry(exchange, 0, fileSystem.mkdir(request.node, name, mode, request.caller()));
}

/** Answers FUSE_SYMLINK, in which the name comes first, then the target. */
export function symlink(exchange: WritingExchange): number {
  const { fileSystem, request } = exchange;
  const name = checked(request.firstName(0));
  const target = request.target(name.length + 1);
  return replyEntry(exchange, 0, fileSystem.symlink(request.node, name, target, request.caller()));
}

/** Answers FUSE_LINK. */
export function link(exchange: WritingExchange): number {
  const { fileSystem, request } = exchange;
  const node = request.u64(fuse_link_in.oldnodeid);
  const name = checked(request.name(fuse_link_in.sizeof));
  return replyEntry(exchange, 0, fileSystem.link(node, request.node, name));
}

/** Answers FUSE_UNLINK. */
export function unlink({ fileSystem, request }: WritingExchange): number {
  fileSystem.unlink(request.node, checked(request.name(0)));
  return 0;
}

/** Answers FUSE_RMDIR. */
export function rmdir({ fileSystem, request }: WritingExchange): number {
  fileSystem.rmdir(request.node, checked(request.name(0)));
  return 0;
}

/** Answers FUSE_RENAME. */
export function rename(exchange: WritingExchange): number {
  return renameAs(exchange, 'replace', fuse_rename_in.sizeof);
}

/**
 * Answers FUSE_RENAME2, which carries flags. RENAME_WHITEOUT would make a device, so it is refused like an unknown
 * flag.
 */
export function rename2(exchange: WritingExchange): number {
  const flags = exchange.request.u32(fuse_rename2_in.flags);
  return renameAs(exchange, renameMode(flags), fuse_rename2_in.sizeof);
}

/** Renames: both structs begin with the directory of the new name, and are followed by the old and the new name. */
function renameAs({ fileSystem, request }: WritingExchange, how: RenameMode, names: number): number {
  const newParent = request.u64(fuse_rename_in.newdir);
  const name = checked(request.firstName(names));
  const newName = checked(request.name(names + name.length + 1));
  fileSystem.rename(request.node, name, newParent, newName, how);
  return 0;
}

function renameMode(flags: number): RenameMode {
  if (flags === 0) return 'replace';
  if (flags === RENAME_NOREPLACE) return 'no-replace';
  if (flags === RENAME_EXCHANGE) return 'exchange';
  throw Errno.of('EINVAL');
}

/** Refuses "." and "..", which can be neither made nor removed. */
function checked(name: Uint8Array): Uint8Array {
  if (name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT))) throw Errno.of('EINVAL');
  return name;
}
