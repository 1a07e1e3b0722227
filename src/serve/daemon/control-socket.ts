import net from 'node:net';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Directory } from '../../base/linux/directory.ts';
import {
  type DaemonEvent,
  type DaemonStatus,
  type KeyAnswer,
  LOCK_ORDER,
  PROFILE_QUESTION,
  type ProfileAnswer,
  STATUS_QUESTION,
  UNLOCK_ORDER,
} from '../control/control-messages.ts';
import { controlName } from '../control/control-names.ts';
import { ownStateDirectory } from '../mounts/state-directory.ts';

/** What carries out the orders of commands. */
export interface ControlOrders {
  /** Returns what was read of an image in a remote store, as an access profile; undefined where that is not known. */
  profile(): Promise<string | undefined>;
  lock(): Promise<KeyAnswer>;
  /** @param caller the descriptor of the connection, to send another one over */
  unlock(caller: number): Promise<KeyAnswer>;
}

const MAX_CALLERS = 64;
const MAX_QUESTION = 1024;
/** What a caller may leave unread. */
const MAX_UNREAD_BYTES = 65_536;

/**
 * Answers commands that ask the daemon: to `status`, a line, it replies with JSON, a line. A command that keeps its
 * connection open also gets what the daemon announces, and sees the connection close when the daemon has wiped its
 * keys.
 */
export class ControlSocket {
  readonly #server: net.Server;
  /** Held open, because its path may lead nowhere once the mount namespace has ended. */
  #directory: Directory | undefined;
  readonly #name: string;
  readonly #callers = new Set<net.Socket>();

  private constructor(server: net.Server, directory: Directory, name: string) {
    this.#server = server;
    this.#directory = directory;
    this.#name = name;
  }

  /**
   * Makes the socket in this user's state directory.
   * @throws CkptfsError `io`, or Error in Node's shape, when the socket cannot be made
   */
  static async open(
    device: string,
    status: () => DaemonStatus | Promise<DaemonStatus>,
    orders?: ControlOrders,
  ): Promise<ControlSocket> {
    const path = ownStateDirectory();
    const directory = Directory.open(path);
    const server = net.createServer({ allowHalfOpen: false });
    server.maxConnections = MAX_CALLERS;
    const name = controlName(device, '.sock');
    const socket = new ControlSocket(server, directory, name);
    // Failing to accept a caller, for lack of descriptors for example, is that caller's loss, not the mount's.
    server.on('error', () => undefined);
    server.on('connection', (caller) => socket.#answer(caller, status, orders));
    try {
      await listenAs(server, path, directory, name, controlName(device, '.new'));
      return socket;
    } catch (error) {
      server.close();
      directory.close();
      throw error;
    }
  }

  /** Sends an event to all who are connected. */
  announce(event: DaemonEvent): void {
    for (const caller of this.#callers) caller.write(`${JSON.stringify(event)}\n`);
  }

  /** @param last is announced first, also to those whose connection was not accepted yet */
  async close(last?: DaemonEvent): Promise<void> {
    this.#unlink();
    // Earlier connections wait in the kernel's queue, and are accepted within the next turn of the event loop.
    for (let turns = 0; turns < 2; turns++) await nextTurn();
    if (last !== undefined) this.announce(last);
    this.#server.close();
    for (const caller of this.#callers) caller.destroySoon();
  }

  #unlink(): void {
    if (this.#directory === undefined) return;
    removeEntry(this.#directory, this.#name);
    this.#directory.close();
    this.#directory = undefined;
  }

  #answer(
    caller: net.Socket,
    status: () => DaemonStatus | Promise<DaemonStatus>,
    orders: ControlOrders | undefined,
  ): void {
    this.#callers.add(caller);
    let text = '';
    caller.setEncoding('utf8');
    caller.on('close', () => this.#callers.delete(caller));
    caller.on('error', () => caller.destroy());
    caller.on('data', (part: string) => {
      text += part;
      if (text.length > MAX_QUESTION) caller.destroy();
      const order = text;
      if (order === LOCK_ORDER || order === UNLOCK_ORDER) void obey(caller, order, orders);
      else if (order === STATUS_QUESTION) void answer(caller, status());
      else if (order === PROFILE_QUESTION) void answer(caller, profileAnswer(orders));
      else return;
      text = '';
    });
  }
}

async function answer(
  caller: net.Socket,
  message: DaemonStatus | Promise<DaemonStatus | ProfileAnswer>,
): Promise<void> {
  if (caller.writableLength > MAX_UNREAD_BYTES) caller.destroy();
  else caller.write(`${JSON.stringify(await message)}\n`);
}

async function profileAnswer(orders: ControlOrders | undefined): Promise<ProfileAnswer> {
  return { profile: (await orders?.profile()) ?? null };
}

/** Carries out an order, and says what became of it. */
async function obey(
  caller: net.Socket,
  order: typeof LOCK_ORDER | typeof UNLOCK_ORDER,
  orders: ControlOrders | undefined,
): Promise<void> {
  const descriptor = descriptorOf(caller);
  if (orders === undefined || descriptor === undefined) return void caller.destroy();
  const answer = await (order === LOCK_ORDER ? orders.lock() : orders.unlock(descriptor));
  caller.write(`${JSON.stringify(answer)}\n`);
}

/** Returns the descriptor of a connection, which Node has no method for. */
function descriptorOf(socket: net.Socket): number | undefined {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}

/**
 * Makes a socket under the name `draft`, and gives it its own name once it listens. Between bind(2) and listen(2) the
 * kernel refuses connections, and a command that found the socket then would remove it as that of a dead daemon.
 * @throws Error EEXIST when `name` exists
 */
async function listenAs(
  server: net.Server,
  path: string,
  directory: Directory,
  name: string,
  draft: string,
): Promise<void> {
  // A daemon that was killed may have left one, if it had the same pid.
  removeEntry(directory, draft);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(join(path, draft), resolve);
    });
    directory.chmod(draft, 0o600);
    directory.rename(draft, name, { replace: false });
  } catch (error) {
    removeEntry(directory, draft);
    throw error;
  }
}

/** Removes an entry if it can. One that stays does no harm: commands remove the sockets of dead daemons. */
function removeEntry(directory: Directory, name: string): void {
  try {
    directory.unlink(name);
  } catch {
    // In most cases it does not exist.
  }
}
