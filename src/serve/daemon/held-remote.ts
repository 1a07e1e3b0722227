import { basename, dirname, join } from 'node:path';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { closeDescriptor, setNonBlocking } from '../../base/linux/descriptors.ts';
import { Directory } from '../../base/linux/directory.ts';
import { Region } from '../../base/linux/native.ts';
import { O_PATH } from '../../base/linux/open-flags.ts';
import { connectTo, peerOf } from '../../base/linux/sockets.ts';
import { sendAll } from '../../base/linux/stream-socket.ts';
import { BLOCKS, INDEX } from '../../remote/lazy/cache-layout.ts';
import { CONTROL, DATA } from '../../remote/lazy/protocol.ts';
import type { RemoteConfig } from '../handover/daemon-config.ts';
import type { RemoteDescriptors } from '../thread/thread-messages.ts';

/**
 * Holds what an image in a remote store is read by, from the daemon's start to its end: directories of the cache, and
 * connections to the process that fetches, which ends when they are closed. The daemon may be in a namespace where no
 * path leads to them.
 */
export class HeldRemote {
  readonly url: string;
  /** Bytes of the index. */
  readonly indexSize: number;
  readonly descriptors: RemoteDescriptors;
  /** A connection for the daemon itself. */
  readonly control: number;
  readonly #directories: readonly Directory[];

  private constructor(url: string, stub: Directory, blocks: Directory, connections: readonly number[]) {
    const [control = -1, ...others] = connections;
    this.url = url;
    this.indexSize = Number(stub.lstat(INDEX)?.size ?? 0);
    this.control = control;
    this.descriptors = { stub: stub.fd, blocks: blocks.fd, connections: others };
    this.#directories = [stub, blocks];
  }

  /**
   * Opens all of it.
   * @param image the path of the image directory of the stub
   * @param threads how many will read
   * @throws CkptfsError `io`, also when the process that fetches is gone
   */
  static open({ url, socket, cache }: RemoteConfig, image: string, threads: number): HeldRemote {
    const connections: number[] = [];
    try {
      const stub = Directory.open(dirname(image));
      const blocks = Directory.open(join(cache, BLOCKS));
      connections.push(connect(socket, CONTROL));
      for (let thread = 0; thread < threads; thread++) connections.push(connect(socket, DATA));
      return new HeldRemote(url, stub, blocks, connections);
    } catch (cause) {
      // The process ends now, and with it what was opened.
      throw cause instanceof CkptfsError ? cause : ioError('open the cache of', url, cause);
    }
  }

  close(): void {
    for (const directory of this.#directories) directory.close();
    for (const fd of this.descriptors.connections) closeDescriptor(fd);
  }
}

/** Connects to the process that fetches, and says what for. @throws Error; CkptfsError `io` for another user's */
function connect(path: string, kind: number): number {
  // A path may be longer than the address of a socket.
  const directory = Directory.open(dirname(path));
  try {
    const held = directory.openFile(basename(path), O_PATH);
    try {
      const fd = connectTo(`/proc/self/fd/${held}`);
      if (peerOf(fd).uid !== process.geteuid?.()) throw new CkptfsError('io', `${path} is the socket of another user`);
      setNonBlocking(fd, false);
      sendAll(fd, new Region(Buffer.from([kind])));
      return fd;
    } finally {
      closeDescriptor(held);
    }
  } finally {
    directory.close();
  }
}
