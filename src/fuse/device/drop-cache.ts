import { write as writeCallback } from 'node:fs';
import { promisify } from 'node:util';
import { systemErrorName } from '../../base/errors.ts';

/** struct fuse_out_header and struct fuse_notify_inval_inode_out. */
const NOTIFY_INVAL_INODE = 2;
const message = { length: 0, code: 4, node: 16, offset: 24, sizeof: 40 } as const;

/**
 * Makes the kernel drop the pages that it has cached of a node of a mount, those that processes have mapped as well. It
 * waits for pages that are being read, so the thread that serves must not be the one that waits for this.
 * @param fd an open /dev/fuse
 * @returns false when the mount is gone
 */
export async function dropCache(fd: number, node: number): Promise<boolean> {
  const bytes = Buffer.alloc(message.sizeof);
  bytes.writeUInt32LE(message.sizeof, message.length);
  bytes.writeInt32LE(NOTIFY_INVAL_INODE, message.code);
  bytes.writeBigUInt64LE(BigInt(node), message.node);
  try {
    await write(fd, bytes);
  } catch (cause) {
    // ENOENT: the kernel does not know the node, so it has nothing of it.
    return systemErrorName(cause) === 'ENOENT';
  }
  return true;
}

const write = promisify(writeCallback);
