/**
 * The FUSE kernel protocol, as the kernel's include/uapi/linux/fuse.h (BSD-2-Clause alternative) defines it: the
 * constants, and for each struct the byte offsets of its fields, under the names of that header. All integers are in
 * the machine's byte order, which is little-endian on every platform that ckptfs runs on.
 */

export const FUSE_KERNEL_VERSION = 7;
/** The newest minor version that ckptfs knows the messages of (Linux 6.18). */
export const FUSE_KERNEL_MINOR_VERSION = 45;
/**
 * The oldest minor version supported: Linux 5.4, which has opens without a message, 1 MiB requests and cached
 * directories.
 */
export const OLDEST_MINOR_VERSION = 31;

export const FUSE_ROOT_ID = 1;

/** The kernel refuses to read requests into less than this (FUSE_MIN_READ_BUFFER). */
export const FUSE_MIN_READ_BUFFER = 8192;

export const FUSE_ASYNC_READ = 1 << 0;
export const FUSE_EXPORT_SUPPORT = 1 << 4;
export const FUSE_BIG_WRITES = 1 << 5;
export const FUSE_DO_READDIRPLUS = 1 << 13;
export const FUSE_ASYNC_DIO = 1 << 15;
export const FUSE_PARALLEL_DIROPS = 1 << 18;
export const FUSE_MAX_PAGES = 1 << 22;
export const FUSE_CACHE_SYMLINKS = 1 << 23;
export const FUSE_HANDLE_KILLPRIV_V2 = 1 << 28;
/** There are 64 flags; `flags2` has the upper half, from bit 32 on. */
export const FUSE_INIT_EXT = 1 << 30;
export const FUSE_DIRECT_IO_ALLOW_MMAP_2 = 1 << (36 - 32);
export const FUSE_OVER_IO_URING_2 = 1 << (41 - 32);

export const FOPEN_DIRECT_IO = 1 << 0;
export const FOPEN_KEEP_CACHE = 1 << 1;
export const FOPEN_CACHE_DIR = 1 << 3;
export const FOPEN_NOFLUSH = 1 << 5;

/** Bits of `valid` in {@link fuse_setattr_in}: which of the other fields are set. */
export const FATTR_MODE = 1 << 0;
export const FATTR_UID = 1 << 1;
export const FATTR_GID = 1 << 2;
export const FATTR_SIZE = 1 << 3;
export const FATTR_ATIME = 1 << 4;
export const FATTR_MTIME = 1 << 5;
export const FATTR_ATIME_NOW = 1 << 7;
export const FATTR_MTIME_NOW = 1 << 8;
export const FATTR_KILL_SUIDGID = 1 << 11;

export const FUSE_WRITE_KILL_SUIDGID = 1 << 2;

/** From linux/fs.h, linux/falloc.h and linux/xattr.h. */
export const RENAME_NOREPLACE = 1 << 0;
export const RENAME_EXCHANGE = 1 << 1;
export const FALLOC_FL_KEEP_SIZE = 1 << 0;
export const FALLOC_FL_PUNCH_HOLE = 1 << 1;
export const FALLOC_FL_ZERO_RANGE = 1 << 4;
export const XATTR_CREATE = 1 << 0;
export const XATTR_REPLACE = 1 << 1;

/** The type bits of st_mode, and the types that MKNOD makes. */
export const S_IFMT = 0o170000;
export const S_IFIFO = 0o010000;
export const S_IFREG = 0o100000;
export const S_IFSOCK = 0o140000;

/** From fcntl.h and unistd.h, the same on x86-64 and arm64. */
export const O_ACCMODE = 3;
export const O_RDONLY = 0;
export const O_TRUNC = 0o1000;
export const W_OK = 2;
export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;

export const Opcode = {
  FUSE_LOOKUP: 1,
  FUSE_FORGET: 2,
  FUSE_GETATTR: 3,
  FUSE_SETATTR: 4,
  FUSE_READLINK: 5,
  FUSE_SYMLINK: 6,
  FUSE_MKNOD: 8,
  FUSE_MKDIR: 9,
  FUSE_UNLINK: 10,
  FUSE_RMDIR: 11,
  FUSE_RENAME: 12,
  FUSE_LINK: 13,
  FUSE_OPEN: 14,
  FUSE_READ: 15,
  FUSE_WRITE: 16,
  FUSE_STATFS: 17,
  FUSE_RELEASE: 18,
  FUSE_FSYNC: 20,
  FUSE_SETXATTR: 21,
  FUSE_GETXATTR: 22,
  FUSE_LISTXATTR: 23,
  FUSE_REMOVEXATTR: 24,
  FUSE_FLUSH: 25,
  FUSE_INIT: 26,
  FUSE_OPENDIR: 27,
  FUSE_READDIR: 28,
  FUSE_RELEASEDIR: 29,
  FUSE_FSYNCDIR: 30,
  FUSE_GETLK: 31,
  FUSE_SETLK: 32,
  FUSE_SETLKW: 33,
  FUSE_ACCESS: 34,
  FUSE_CREATE: 35,
  FUSE_INTERRUPT: 36,
  FUSE_BMAP: 37,
  FUSE_DESTROY: 38,
  FUSE_IOCTL: 39,
  FUSE_POLL: 40,
  FUSE_NOTIFY_REPLY: 41,
  FUSE_BATCH_FORGET: 42,
  FUSE_FALLOCATE: 43,
  FUSE_READDIRPLUS: 44,
  FUSE_RENAME2: 45,
  FUSE_LSEEK: 46,
  FUSE_COPY_FILE_RANGE: 47,
  FUSE_SETUPMAPPING: 48,
  FUSE_REMOVEMAPPING: 49,
  FUSE_SYNCFS: 50,
  FUSE_TMPFILE: 51,
  FUSE_STATX: 52,
  FUSE_COPY_FILE_RANGE_64: 53,
} as const;

/** Begins every request. `total_extlen` counts the extensions at the request's end in units of 8 bytes (7.38). */
export const fuse_in_header = {
  len: 0,
  opcode: 4,
  unique: 8,
  nodeid: 16,
  uid: 24,
  gid: 28,
  pid: 32,
  total_extlen: 36,
  sizeof: 40,
} as const;

/** Begins every reply. `error` is a negative errno or 0. */
export const fuse_out_header = { len: 0, error: 4, unique: 8, sizeof: 16 } as const;

export const fuse_attr = {
  ino: 0,
  size: 8,
  blocks: 16,
  atime: 24,
  mtime: 32,
  ctime: 40,
  atimensec: 48,
  mtimensec: 52,
  ctimensec: 56,
  mode: 60,
  nlink: 64,
  uid: 68,
  gid: 72,
  rdev: 76,
  blksize: 80,
  flags: 84,
  sizeof: 88,
} as const;

export const fuse_entry_out = {
  nodeid: 0,
  generation: 8,
  entry_valid: 16,
  attr_valid: 24,
  entry_valid_nsec: 32,
  attr_valid_nsec: 36,
  attr: 40,
  sizeof: 128,
} as const;

export const fuse_attr_out = { attr_valid: 0, attr_valid_nsec: 8, dummy: 12, attr: 16, sizeof: 104 } as const;

/** The name follows at `sizeof`; the record is padded to a multiple of 8 bytes. */
export const fuse_dirent = { ino: 0, off: 8, namelen: 16, type: 20, sizeof: 24 } as const;

export const fuse_kstatfs = {
  blocks: 0,
  bfree: 8,
  bavail: 16,
  files: 24,
  ffree: 32,
  bsize: 40,
  namelen: 44,
  frsize: 48,
  sizeof: 80,
} as const;

/** `flags2` is there with FUSE_INIT_EXT in `flags`. */
export const fuse_init_in = { major: 0, minor: 4, max_readahead: 8, flags: 12, flags2: 16 } as const;

export const fuse_init_out = {
  major: 0,
  minor: 4,
  max_readahead: 8,
  flags: 12,
  max_background: 16,
  congestion_threshold: 18,
  max_write: 20,
  time_gran: 24,
  max_pages: 28,
  flags2: 32,
  sizeof: 64,
} as const;

export const fuse_open_in = { flags: 0 } as const;
export const fuse_open_out = { fh: 0, open_flags: 8, padding: 12, sizeof: 16 } as const;
/** The body of READ, READDIR and READDIRPLUS. */
export const fuse_read_in = { fh: 0, offset: 8, size: 16, sizeof: 40 } as const;
export const fuse_release_in = { fh: 0, sizeof: 24 } as const;
export const fuse_lseek_in = { fh: 0, offset: 8, whence: 16, padding: 20, sizeof: 24 } as const;
export const fuse_lseek_out = { offset: 0, sizeof: 8 } as const;
export const fuse_getxattr_in = { size: 0, padding: 4, sizeof: 8 } as const;
export const fuse_getxattr_out = { size: 0, padding: 4, sizeof: 8 } as const;
export const fuse_access_in = { mask: 0, padding: 4, sizeof: 8 } as const;

export const fuse_setattr_in = {
  valid: 0,
  size: 16,
  atime: 32,
  mtime: 40,
  atimensec: 56,
  mtimensec: 60,
  mode: 68,
  uid: 76,
  gid: 80,
  sizeof: 88,
} as const;

/** Structs that names follow, at `sizeof`, each ended by a NUL. */
export const fuse_create_in = { flags: 0, mode: 4, umask: 8, open_flags: 12, sizeof: 16 } as const;
export const fuse_mknod_in = { mode: 0, rdev: 4, umask: 8, padding: 12, sizeof: 16 } as const;
export const fuse_mkdir_in = { mode: 0, umask: 4, sizeof: 8 } as const;
export const fuse_link_in = { oldnodeid: 0, sizeof: 8 } as const;
export const fuse_rename_in = { newdir: 0, sizeof: 8 } as const;
export const fuse_rename2_in = { newdir: 0, flags: 8, padding: 12, sizeof: 16 } as const;

/** The data follows at `sizeof`. */
export const fuse_write_in = { fh: 0, offset: 8, size: 16, write_flags: 20, sizeof: 40 } as const;
export const fuse_write_out = { size: 0, padding: 4, sizeof: 8 } as const;
export const fuse_fallocate_in = { fh: 0, offset: 8, length: 16, mode: 24, padding: 28, sizeof: 32 } as const;

/**
 * The form without FUSE_SETXATTR_EXT, which ckptfs does not request. The name follows at `sizeof`, and after its NUL
 * the value.
 */
export const fuse_setxattr_in = { size: 0, flags: 4, sizeof: 8 } as const;

export const fuse_forget_in = { nlookup: 0 } as const;
/** At `sizeof` follow `count` structs {@link fuse_forget_one}. */
export const fuse_batch_forget_in = { count: 0, dummy: 4, sizeof: 8 } as const;
export const fuse_forget_one = { nodeid: 0, nlookup: 8, sizeof: 16 } as const;

/** Commands of IORING_OP_URING_CMD to an open /dev/fuse (7.42). */
export const FUSE_IO_URING_CMD_REGISTER = 1;
export const FUSE_IO_URING_CMD_COMMIT_AND_FETCH = 2;

/**
 * The memory of a ring's entry for all but names and data: the header of a request or reply, the struct that follows
 * the header in a request on /dev/fuse, and what only io_uring needs.
 */
export const fuse_uring_req_header = { in_out: 0, op_in: 128, ring_ent_in_out: 256, sizeof: 288 } as const;

/** The most bytes of `op_in`. */
export const FUSE_URING_OP_IN_OUT_SZ = 128;

export const fuse_uring_ent_in_out = {
  flags: 0,
  /** To be given back with the reply. */
  commit_id: 8,
  /** Bytes in the other memory of the entry: names and data of a request, the whole body of a reply. */
  payload_sz: 16,
  sizeof: 32,
} as const;

/** In the command area of the submission. */
export const fuse_uring_cmd_req = { flags: 0, commit_id: 8, qid: 16, sizeof: 24 } as const;
