import fs from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import type { CounterSums } from './serving.ts';
import { ownStateDirectory } from './state-directory.ts';

/** What a daemon tells of itself. */
export interface DaemonStatus {
  readonly pid: number;
  readonly mountPoint: string;
  /** `MAJOR:MINOR`. */
  readonly device: string;
  readonly location: string;
  readonly imageId: string;
  readonly transport: string;
  readonly workers: number;
  readonly scratch: boolean;
  readonly uptimeSeconds: number;
  readonly counters: CounterSums;
}

const STATUS_QUESTION = 'status\n';
const SUFFIX = '.sock';
const MAX_CALLERS = 64;
const MAX_QUESTION = 1024;
const MAX_SOCKETS = 256;

/** Where in a state directory the daemon of a mount listens. @param device `MAJOR:MINOR`: no two live mounts of a host share one */
export function controlPath(directory: string, device: string): string {
  return join(directory, `${device}${SUFFIX}`);
}

/**
 * Devices of the mounts for which sockets lie in a state directory; none when it is gone, and not more than {@link MAX_SOCKETS}: it may
 * be filled by somebody who means to wear out whoever asks all of them.
 */
export function controlDevices(directory: string): string[] {
  const devices = namesIn(directory).flatMap((name) => /^([0-9]+:[0-9]+)\.sock$/.exec(name)?.[1] ?? []);
  return devices.slice(0, MAX_SOCKETS).filter((device) => isSocket(controlPath(directory, device)));
}

/** Not for a link to one: in another user's directory it would lead anywhere. */
export function isSocket(path: string): boolean {
  try {
    return fs.lstatSync(path).isSocket();
  } catch {
    return false;
  }
}

function namesIn(directory: string): string[] {
  try {
    return fs.readdirSync(directory);
  } catch {
    return [];
  }
}

/**
 * The daemon's ear: answers `status`, a line, with JSON, a line. Whoever keeps a connection open sees it close when the daemon has wiped
 * what it had.
 */
export class ControlSocket {
  readonly #server: net.Server;
  readonly #path: string;
  readonly #callers = new Set<net.Socket>();

  private constructor(server: net.Server, path: string) {
    this.#server = server;
    this.#path = path;
  }

  /** @throws CkptfsError `io`, or Error in Node's shape, when no socket can be made */
  static async open(device: string, status: () => DaemonStatus): Promise<ControlSocket> {
    const path = controlPath(ownStateDirectory(), device);
    // Left by a daemon that was killed: its device number could not have been given away again otherwise.
    fs.rmSync(path, { force: true });
    const server = net.createServer({ allowHalfOpen: false });
    server.maxConnections = MAX_CALLERS;
    const socket = new ControlSocket(server, path);
    server.on('connection', (caller) => socket.#hear(caller, status));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    fs.chmodSync(path, 0o600);
    return socket;
  }

  close(): void {
    fs.rmSync(this.#path, { force: true });
    this.#server.close();
    for (const caller of this.#callers) caller.destroy();
  }

  #hear(caller: net.Socket, status: () => DaemonStatus): void {
    this.#callers.add(caller);
    let text = '';
    caller.setEncoding('utf8');
    caller.on('close', () => this.#callers.delete(caller));
    caller.on('error', () => caller.destroy());
    caller.on('data', (part: string) => {
      text += part;
      if (text.length > MAX_QUESTION) caller.destroy();
      if (text !== STATUS_QUESTION) return;
      text = '';
      caller.write(`${JSON.stringify(status())}\n`);
    });
  }
}

/** The bytes that ask a daemon for its status. */
export const statusQuestion = STATUS_QUESTION;
