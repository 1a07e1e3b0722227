import { isUtf8 } from 'node:buffer';
import type { Mutation, Operations, ReadOperations, Stat } from 'fuse-native';
import { Errno } from '../../base/errno.ts';
import { Region } from '../../base/linux/native.ts';
import type { Time } from '../../base/time.ts';
import type { ErrorListener } from '../device/connection.ts';
import { O_ACCMODE, O_RDONLY, O_TRUNC, W_OK } from '../protocol/abi.ts';
import type { Attributes, FileSystem } from '../protocol/filesystem.ts';
import { PathResolver } from './path-resolver.ts';

/**
 * Extended attribute operations that see the size of the caller's buffer: 0 asks for the size only. Each returns the
 * size.
 */
export interface XattrOperations {
  getxattr(path: string, name: string, room: Buffer): number;
  listxattr(path: string, room: Buffer): number;
}

const readOnlyRefusal: Mutation = (...args) => {
  const reply = args.at(-1);
  if (typeof reply === 'function') reply(-Errno.of('EROFS').errno);
};

/**
 * Turns a file system into the operations of fuse-native: by path, answered through callbacks. That package has limits:
 * - it passes names as UTF-8 strings, so a name that is not UTF-8 is listed with U+FFFD in place of the invalid bytes,
 *   and is not found when opened (ENOENT); a link target that is not UTF-8 is EIO rather than another target;
 * - it cuts times to milliseconds, and those before 1970 become 1970; it cuts statfs counts to 32 bits;
 * - it has no lseek, so the kernel takes every file to be without holes.
 */
export function nativeOperations(
  fileSystem: FileSystem,
  onError: ErrorListener,
): Operations & { xattrs: XattrOperations } {
  const paths = new PathResolver(fileSystem);

  /** Returns the result of `work`, or the negative errno of the error that it threw. */
  function attempt(operation: string, work: () => number): number {
    try {
      return work();
    } catch (error) {
      if (error instanceof Errno) return -error.errno;
      onError(error, operation, 0);
      return -Errno.of('EIO').errno;
    }
  }

  function answer<Value>(operation: string, reply: (result: number, value?: Value) => void, work: () => Value): void {
    let value: Value | undefined;
    const result = attempt(operation, () => {
      value = work();
      return 0;
    });
    if (result === 0) reply(0, value);
    else reply(result);
  }

  const reading: ReadOperations = {
    getattr: (path, reply) => answer('getattr', reply, () => toStat(paths.resolve(path))),
    fgetattr: (path, _fd, reply) => answer('fgetattr', reply, () => toStat(paths.resolve(path))),
    access: (path, mode, reply) =>
      reply(
        attempt('access', () => {
          paths.resolve(path);
          if ((mode & W_OK) !== 0) throw Errno.of('EROFS');
          return 0;
        }),
      ),
    statfs: (_path, reply) =>
      answer('statfs', reply, () => {
        const { blockSize, blocks, freeBlocks, files, freeFiles, nameMax } = fileSystem.statfs();
        const counts = { blocks, bfree: freeBlocks, bavail: freeBlocks, files, ffree: freeFiles, favail: freeFiles };
        return { bsize: blockSize, frsize: blockSize, ...counts, namemax: nameMax };
      }),
    readdir: (path, reply) => {
      const names: string[] = [];
      const stats: Stat[] = [];
      const result = attempt('readdir', () => {
        const directory = paths.resolve(path).node;
        for (let cookie = 0; ; ) {
          const entry = fileSystem.entryAfter(directory, cookie);
          if (entry === undefined) return 0;
          cookie = entry.cookie;
          names.push(Buffer.from(entry.name).toString('utf8'));
          stats.push(toStat(entry.attributes));
        }
      });
      if (result === 0) reply(0, names, stats);
      else reply(result);
    },
    readlink: (path, reply) =>
      answer('readlink', reply, () => {
        const target = fileSystem.readlink(paths.resolve(path).node);
        if (!isUtf8(target)) throw Errno.of('EIO');
        return Buffer.from(target).toString('utf8');
      }),
    open: (path, flags, reply) =>
      answer('open', reply, () => {
        if ((flags & O_ACCMODE) !== O_RDONLY || (flags & O_TRUNC) !== 0) throw Errno.of('EROFS');
        paths.resolve(path);
        return 0;
      }),
    opendir: (path, _flags, reply) =>
      answer('opendir', reply, () => {
        paths.resolve(path);
        return 0;
      }),
    read: (path, _fd, buffer, length, offset, reply) =>
      reply(
        attempt('read', () => {
          const room = Math.min(length, buffer.length);
          const count = fileSystem.read(paths.resolve(path).node, offset, room, new Region(buffer), 0);
          if (Number.isInteger(count) && count >= 0 && count <= room) return count;
          throw new RangeError(`the file system returned ${count} bytes where ${room} were asked for`);
        }),
      ),
    release: (_path, _fd, reply) => reply(0),
    releasedir: (_path, _fd, reply) => reply(0),
    flush: (_path, _fd, reply) => reply(0),
    fsync: (_path, _datasync, _fd, reply) => reply(0),
    fsyncdir: (_path, _datasync, _fd, reply) => reply(0),
    // These two exist so that libfuse sends the requests; `xattrs` answers them.
    getxattr: (_path, _name, _position, reply) => reply(-Errno.of('ENODATA').errno),
    listxattr: (_path, reply) => reply(0, []),
  };

  const xattrs: XattrOperations = {
    getxattr: (path, name, room) =>
      attempt('getxattr', () => {
        const value = fileSystem.getxattr(paths.resolve(path).node, Buffer.from(name, 'utf8'));
        return fill(room, [value]);
      }),
    listxattr: (path, room) =>
      attempt('listxattr', () => {
        const names = fileSystem.listxattr(paths.resolve(path).node);
        return fill(
          room,
          names.flatMap((name) => [name, Buffer.of(0)]),
        );
      }),
  };

  return {
    ...reading,
    xattrs,
    truncate: readOnlyRefusal,
    ftruncate: readOnlyRefusal,
    utimens: readOnlyRefusal,
    chown: readOnlyRefusal,
    chmod: readOnlyRefusal,
    mknod: readOnlyRefusal,
    setxattr: readOnlyRefusal,
    removexattr: readOnlyRefusal,
    write: readOnlyRefusal,
    create: readOnlyRefusal,
    unlink: readOnlyRefusal,
    rename: readOnlyRefusal,
    link: readOnlyRefusal,
    symlink: readOnlyRefusal,
    mkdir: readOnlyRefusal,
    rmdir: readOnlyRefusal,
  };
}

/**
 * Writes the parts into `room` one after another and returns their size; writes nothing when `room` is empty. Throws
 * ERANGE.
 */
function fill(room: Buffer, parts: readonly Uint8Array[]): number {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  if (room.length === 0) return size;
  if (size > room.length) throw Errno.of('ERANGE');
  let at = 0;
  for (const part of parts) {
    room.set(part, at);
    at += part.length;
  }
  return size;
}

function toStat(attributes: Attributes): Stat {
  return {
    mode: attributes.mode,
    uid: attributes.uid,
    gid: attributes.gid,
    size: attributes.size,
    nlink: attributes.links,
    ino: attributes.node,
    blksize: 4096,
    blocks: attributes.blocks,
    atime: millisecondsOf(attributes.atime),
    mtime: millisecondsOf(attributes.mtime),
    ctime: millisecondsOf(attributes.ctime),
  };
}

/** Converts a time to milliseconds; one before 1970, which the package cannot carry, becomes 0. */
function millisecondsOf({ seconds, nanoseconds }: Time): number {
  return Math.max(0, seconds * 1000 + Math.floor(nanoseconds / 1e6));
}
