import { closeSync, readSync, writeSync } from 'node:fs';
import { Errno } from '../../base/errno.ts';
import { CkptfsError } from '../../base/errors.ts';
import { Region } from '../../base/linux/native.ts';
import { Connection } from '../device/connection.ts';
import { FUSE_KERNEL_VERSION, FUSE_MIN_READ_BUFFER, fuse_in_header, fuse_init_in, Opcode } from '../protocol/abi.ts';
import type { FileSystem } from '../protocol/filesystem.ts';
import { mountKernel } from './mount-kernel.ts';
import { unmount } from './mount-point.ts';

/** The result of a trial mount. */
export interface MountTrial {
  /** Version of the FUSE protocol that the kernel speaks: `7.45`. */
  readonly protocol: string;
}

const MAX_TRANSFER = 65536;

/**
 * Mounts an empty file system on a directory in the way that an image is mounted, agrees with the kernel on the
 * protocol (FUSE_INIT), and unmounts it. The kernel sends FUSE_INIT as soon as it mounts; if it did not, this would
 * wait for ever.
 * @throws CkptfsError `missing-feature`, `mount-failed`
 */
export async function tryMount(directory: string): Promise<MountTrial> {
  const { fd, mountPoint } = await mountKernel(directory, {
    source: 'ckptfs-doctor',
    readOnly: true,
    allowOther: false,
    maxRead: MAX_TRANSFER,
  });
  try {
    return answerInit(fd);
  } finally {
    // Lazily, because a program that watches for new mounts may use this one; it gets an error when the device is
    // closed.
    await unmount(mountPoint, { lazy: true }).finally(() => closeSync(fd));
  }
}

function answerInit(fd: number): MountTrial {
  let fault: unknown;
  const connection = new Connection(nothing, {
    maxTransfer: MAX_TRANSFER,
    onError: (error) => {
      fault = error;
    },
  });
  const request = new Region(MAX_TRANSFER + FUSE_MIN_READ_BUFFER);
  const length = readSync(fd, request.bytes);
  const opcode = request.view.getUint32(fuse_in_header.opcode, true);
  if (opcode !== Opcode.FUSE_INIT) throw new CkptfsError('internal', `the kernel began with FUSE operation ${opcode}`);
  const replyLength = connection.handle(request, length);
  if (fault !== undefined) throw fault;
  writeSync(fd, connection.reply.bytes, 0, replyLength);
  const minor = request.view.getUint32(fuse_in_header.sizeof + fuse_init_in.minor, true);
  return { protocol: `${FUSE_KERNEL_VERSION}.${minor}` };
}

function absent(): never {
  throw Errno.of('ENOSYS');
}

/** A file system of which no operation is ever used. */
const nothing: FileSystem = {
  immutable: true,
  lookup: absent,
  getattr: absent,
  readlink: absent,
  read: absent,
  entryAfter: absent,
  statfs: absent,
  getxattr: absent,
  listxattr: absent,
  seek: absent,
};
