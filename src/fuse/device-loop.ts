import { constants } from 'node:os';
import { CkptfsError } from '../base/errors.ts';
import { bind, lastErrno, Region } from '../base/native.ts';
import { FUSE_MIN_READ_BUFFER } from './abi.ts';
import type { Connection } from './connection.ts';

const { EINTR, ENOENT, EAGAIN, ENODEV, EBADF, ECONNABORTED } = constants.errno;

/** Called directly, a system call takes 200 ns; through fs.readSync and fs.writeSync it took 350. */
const readDevice = bind('read', 'long', ['int', 'uintptr_t', 'size_t']);
const writeDevice = bind('write', 'long', ['int', 'uintptr_t', 'size_t']);

/**
 * Serves one connection on an open /dev/fuse until the mount is gone: reads a request, answers it, and so on, blocking the
 * calling thread. Any number of threads may do so on one descriptor, each with a connection of its own; a request goes to
 * one of them. Returns once the file system is unmounted or its connection aborted, with the reply memory wiped. A thread
 * that waits here can be stopped in no other way: not by terminate(), and process.exit() of the main thread waits for it.
 * @throws CkptfsError `internal` when the device fails in a way that it never should
 */
export function serve(fd: number, connection: Connection): void {
  const request = new Region(connection.maxTransfer + FUSE_MIN_READ_BUFFER);
  try {
    while (true) {
      const length = readDevice(fd, request.address, request.length);
      if (length > 0) {
        const replyLength = connection.handle(request, length);
        if (replyLength > 0) reply(fd, connection, replyLength);
      } else if (length === 0 || !mayReadAgain(lastErrno())) {
        return;
      }
    }
  } finally {
    connection.wipe();
    request.bytes.fill(0);
  }
}

/** ENOENT: the request was interrupted before we could take it. Returns false when the mount is gone. */
function mayReadAgain(errno: number): boolean {
  if (errno === EINTR || errno === ENOENT || errno === EAGAIN) return true;
  if (errno === ENODEV || errno === EBADF || errno === ECONNABORTED) return false;
  throw new CkptfsError('internal', `reading requests from the FUSE device failed with errno ${errno}`);
}

/**
 * Hands a reply to the kernel. ENOENT: nobody waits for it any more. A mount that is gone shows at the next read. A reply
 * that the kernel refuses would leave its caller waiting for ever, so that one is answered with EIO.
 */
function reply(fd: number, connection: Connection, length: number): void {
  if (writeDevice(fd, connection.reply.address, length) >= 0) return;
  const errno = lastErrno();
  if (errno === ENOENT || errno === ENODEV || errno === EBADF || errno === ECONNABORTED) return;
  const fault = new CkptfsError('internal', `the kernel refused a reply of ${length} bytes with errno ${errno}`);
  writeDevice(fd, connection.reply.address, connection.fail(fault));
}
