import fs from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import type { PlainError } from '../base/errors.ts';
import type { CounterSums } from './serving.ts';
import { ownStateDirectory } from './state-directory.ts';

/** What a daemon tells of itself. */
export interface DaemonStatus {
  /** `sealing`: the mount is gone, and what was written is being sealed. */
  readonly state: 'serving' | 'sealing';
  readonly pid: number;
  readonly mountPoint: string;
  /** `MAJOR:MINOR`. While sealing, another mount may have it. */
  readonly device: string;
  readonly location: string;
  readonly imageId: string;
  readonly transport: string;
  readonly workers: number;
  readonly scratch: boolean;
  /** Whether files can be changed. */
  readonly write: boolean;
  readonly uptimeSeconds: number;
  readonly counters: CounterSums;
  /** How it was mounted, for another mount of the same kind. */
  readonly options: ServedOptions;
}

export interface ServedOptions {
  readonly allowOther: boolean;
  readonly allowRoot: boolean;
  readonly noExec: boolean;
  readonly fsName: string;
  /** Bytes. */
  readonly cacheSize: number;
  /** Undefined in the foreground. */
  readonly logFile?: string | undefined;
}

/**
 * What the daemon of a mount that was written on says by itself: that it is sealing, again and again as long as it is, and at last what
 * came of it.
 */
export type DaemonEvent =
  | { readonly event: 'sealing' | 'sealed' }
  | { readonly event: 'unsealed'; readonly error: PlainError };

const STATUS_QUESTION = 'status\n';
const MAX_CALLERS = 64;
const MAX_QUESTION = 1024;
const MAX_SOCKETS = 256;

/** The socket of a daemon. */
export interface ControlName {
  readonly path: string;
  /** Of its mount, `MAJOR:MINOR`: no two live mounts of a host share one. */
  readonly device: string;
}

/** Where in a state directory a daemon listens. By its pid too, for while it seals its device number may be another mount's. */
export function controlPath(directory: string, device: string, pid: number): string {
  return join(directory, `${device}-${pid}.sock`);
}

/**
 * The sockets in a state directory; none when it is gone, and not more than {@link MAX_SOCKETS}: it may be filled by somebody who means
 * to wear out whoever asks all of them.
 */
export function controlNames(directory: string): ControlName[] {
  const names = namesIn(directory).flatMap((name) => {
    const device = /^([0-9]+:[0-9]+)-[0-9]+\.sock$/.exec(name)?.[1];
    return device === undefined ? [] : [{ path: join(directory, name), device }];
  });
  return names.slice(0, MAX_SOCKETS).filter(({ path }) => isSocket(path));
}

/** Not for a link to one: in another user's directory it would lead anywhere. */
function isSocket(path: string): boolean {
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
 * The daemon's ear: answers `status`, a line, with JSON, a line. Whoever keeps a connection open hears what the daemon announces, and sees
 * it close when the daemon has wiped what it had.
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
    const path = controlPath(ownStateDirectory(), device, process.pid);
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

  /** Tells all that are connected. */
  announce(event: DaemonEvent): void {
    for (const caller of this.#callers) caller.write(`${JSON.stringify(event)}\n`);
  }

  /** @param last to be announced before */
  close(last?: DaemonEvent): void {
    if (last !== undefined) this.announce(last);
    fs.rmSync(this.#path, { force: true });
    this.#server.close();
    for (const caller of this.#callers) caller.destroySoon();
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
