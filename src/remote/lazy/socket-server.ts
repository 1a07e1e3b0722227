import net from 'node:net';
import { join } from 'node:path';
import { ioError, systemErrorName } from '../../base/errors.ts';
import { closeDescriptor } from '../../base/linux/descriptors.ts';
import type { Directory } from '../../base/linux/directory.ts';
import { connectTo } from '../../base/linux/sockets.ts';
import type { CacheDirectory } from './cache-directory.ts';
import { draftName, isDraft, OLD_DRAFT_SECONDS, randomName, SOCKETS } from './cache-layout.ts';

/** A daemon has one connection for each thread, and one more. */
const MAX_CONNECTIONS = 1024;

/** The socket of a fetcher in the cache directory. */
export class SocketServer {
  readonly path: string;
  readonly #server: net.Server;
  readonly #directory: Directory;
  readonly #name: string;
  readonly #connections = new Set<net.Socket>();
  readonly #onLeft: () => void;

  private constructor(cache: CacheDirectory, name: string, server: net.Server, onLeft: () => void) {
    this.path = join(cache.path, SOCKETS, name);
    this.#directory = cache.sockets;
    this.#name = name;
    this.#server = server;
    this.#onLeft = onLeft;
  }

  /**
   * Listens, and removes sockets of fetchers that were killed.
   * @param serve talks to one client, until it returns or throws
   * @param onLeft hears that a connection ended
   * @throws CkptfsError `io`
   */
  static async open(
    cache: CacheDirectory,
    serve: (connection: net.Socket) => Promise<void>,
    onLeft: () => void,
  ): Promise<SocketServer> {
    removeStale(cache.sockets);
    const server = net.createServer({ allowHalfOpen: false });
    server.maxConnections = MAX_CONNECTIONS;
    const [draft, name] = [draftName(), randomName()];
    const socket = new SocketServer(cache, name, server, onLeft);
    // Failing to accept a client, for lack of descriptors for example, is that client's loss.
    server.on('error', () => undefined);
    server.on('connection', (connection) => socket.#serve(connection, serve));
    try {
      await listen(server, `/proc/self/fd/${cache.sockets.fd}/${draft}`);
      // It has its name when it is answered: a socket that is not is taken for stale.
      cache.sockets.rename(draft, name);
    } catch (cause) {
      server.close();
      throw ioError('make a socket in', join(cache.path, SOCKETS), cause);
    }
    return socket;
  }

  get isIdle(): boolean {
    return this.#connections.size === 0;
  }

  close(): void {
    try {
      this.#directory.unlink(this.#name);
    } catch {
      // Another fetcher took it for stale.
    }
    this.#server.close();
    for (const connection of this.#connections) connection.destroy();
  }

  #serve(connection: net.Socket, serve: (connection: net.Socket) => Promise<void>): void {
    this.#connections.add(connection);
    connection.on('error', () => connection.destroy());
    connection.on('close', () => {
      this.#connections.delete(connection);
      this.#onLeft();
    });
    serve(connection)
      .catch(() => undefined)
      .finally(() => connection.destroy());
  }
}

function listen(server: net.Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Removes sockets at which no process listens. */
function removeStale(sockets: Directory): void {
  for (const name of sockets.names().map(String)) {
    if (!isStale(sockets, name)) continue;
    try {
      sockets.unlink(name);
    } catch {
      // Another fetcher did.
    }
  }
}

function isStale(sockets: Directory, name: string): boolean {
  const madeAt = Number(sockets.lstat(name)?.mtimeMs);
  if (isDraft(name) && !(Date.now() - madeAt > OLD_DRAFT_SECONDS * 1000)) return false;
  try {
    closeDescriptor(connectTo(`/proc/self/fd/${sockets.fd}/${name}`));
    return false;
  } catch (error) {
    return systemErrorName(error) === 'ECONNREFUSED';
  }
}
