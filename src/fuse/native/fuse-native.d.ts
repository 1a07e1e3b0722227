/**
 * Declares the part of the npm package fuse-native 2.2.6 that ckptfs uses, from its index.js: it has no types of its
 * own.
 */
declare module 'fuse-native' {
  export interface Stat {
    readonly mode: number;
    readonly uid: number;
    readonly gid: number;
    readonly size: number;
    readonly nlink: number;
    /** 32 bits. */
    readonly ino: number;
    readonly blksize: number;
    readonly blocks: number;
    /** Milliseconds since 1970, not negative. */
    readonly atime: number;
    readonly mtime: number;
    readonly ctime: number;
  }

  export interface Statfs {
    readonly bsize: number;
    readonly frsize: number;
    readonly blocks: number;
    readonly bfree: number;
    readonly bavail: number;
    readonly files: number;
    readonly ffree: number;
    readonly favail: number;
    readonly namemax: number;
  }

  /** `result` is 0 or a negative errno; after `read` it is the number of bytes. */
  export type Reply = (result: number) => void;
  export type ReplyWith<Value> = (result: number, value?: Value) => void;
  export type ReplyWithNames = (result: number, names?: readonly string[], stats?: readonly Stat[]) => void;

  export interface ReadOperations {
    getattr(path: string, reply: ReplyWith<Stat>): void;
    fgetattr(path: string, fd: number, reply: ReplyWith<Stat>): void;
    access(path: string, mode: number, reply: Reply): void;
    statfs(path: string, reply: ReplyWith<Statfs>): void;
    readdir(path: string, reply: ReplyWithNames): void;
    readlink(path: string, reply: ReplyWith<string>): void;
    open(path: string, flags: number, reply: ReplyWith<number>): void;
    opendir(path: string, flags: number, reply: ReplyWith<number>): void;
    read(path: string, fd: number, buffer: Buffer, length: number, offset: number, reply: Reply): void;
    release(path: string, fd: number, reply: Reply): void;
    releasedir(path: string, fd: number, reply: Reply): void;
    flush(path: string, fd: number, reply: Reply): void;
    fsync(path: string, datasync: number, fd: number, reply: Reply): void;
    fsyncdir(path: string, datasync: number, fd: number, reply: Reply): void;
    getxattr(path: string, name: string, position: number, reply: ReplyWith<Buffer>): void;
    listxattr(path: string, reply: ReplyWith<readonly string[]>): void;
  }

  export type MutationName =
    | 'truncate'
    | 'ftruncate'
    | 'utimens'
    | 'chown'
    | 'chmod'
    | 'mknod'
    | 'setxattr'
    | 'removexattr'
    | 'write'
    | 'create'
    | 'unlink'
    | 'rename'
    | 'link'
    | 'symlink'
    | 'mkdir'
    | 'rmdir';

  /** Its last argument is a {@link Reply}. */
  export type Mutation = (...args: readonly unknown[]) => void;

  export type Operations = ReadOperations & Readonly<Record<MutationName, Mutation>>;

  /** The package joins these with commas to one `-o` string, and escapes nothing. */
  export interface Options {
    readonly timeout: false;
    readonly allowOther: boolean;
    readonly defaultPermissions: boolean;
    readonly kernelCache: boolean;
    readonly maxRead: number;
    readonly subtype: string;
    readonly entryTimeout: number;
    readonly attrTimeout: number;
    readonly fsname: string;
  }

  export type XattrSignal = (result: number, memory: ArrayBufferLike) => void;

  export default class Fuse {
    constructor(mountPoint: string, operations: Operations, options: Options);
    /** Runs `fusermount -uz "…"` in a shell. The method of the same name calls it. */
    static unmount: (mountPoint: string, done: (error: unknown) => void) => void;
    mount(done: (error: unknown) => void): void;
    unmount(done: (error: unknown) => void): void;
    /** Called by libfuse before `getxattr`; the buffer has the size of the caller's. */
    protected _op_getxattr(signal: XattrSignal, path: string, name: string, value: Buffer): void;
    protected _op_listxattr(signal: XattrSignal, path: string, list: Buffer): void;
  }
}
