import fs from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { PlainError } from '../../base/errors.ts';
import { Directory } from '../../base/linux/directory.ts';
import { ownStateDirectory } from '../mounts/state-directory.ts';
import type { CounterSums } from './serving.ts';

/** What a daemon tells of itself. Not its pid, which would be of its own pid namespace: the kernel tells that. */
export interface DaemonStatus {
  /** `sealing`: the mount is gone, and what was written is being sealed. */
  readonly state: 'serving' | 'sealing';
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

/** What the daemon of a mount that was written on says by itself: that it is sealing, and at last what came of it. */
export type DaemonEvent =
  | { readonly event: 'sealing' | 'sealed' }
  | { readonly event: 'unsealed'; readonly error: PlainError };

const STATUS_QUESTION = 'status\n';
const MAX_CALLERS = 64;
const MAX_QUESTION = 1024;
const MAX_SOCKETS = 256;
/** Entries of a state directory that are looked at: it may be filled by somebody who means to wear out who lists it. */
const MAX_ENTRIES = 4096;

/** The name of a daemon's socket in its state directory. */
export interface ControlName {
  readonly directory: Directory;
  readonly name: string;
  /** Of its mount, `MAJOR:MINOR`: no two live mounts of a host share one. */
  readonly device: string;
}

/** What a daemon's socket is called. By its pid too, for while it seals its device number may be another mount's. */
function controlName(device: string, suffix: '.sock' | '.new'): string {
  return `${device}-${process.pid}${suffix}`;
}

/** Lists what may be the sockets in a state directory, by their names, and not more than {@link MAX_SOCKETS}. */
export function controlNames(directory: Directory): ControlName[] {
  const names = firstNamesIn(`/proc/self/fd/${directory.fd}`).flatMap((name) => {
    const device = /^([0-9]+:[0-9]+)-[0-9]+\.sock$/.exec(name)?.[1];
    return device === undefined ? [] : [{ directory, name, device }];
  });
  return names.slice(0, MAX_SOCKETS);
}

function firstNamesIn(path: string): string[] {
  const names: string[] = [];
  try {
    const listing = fs.opendirSync(path);
    try {
      for (let at = 0; at < MAX_ENTRIES; at++) {
        const entry = listing.readSync();
        if (entry === null) break;
        names.push(entry.name);
      }
    } finally {
      listing.closeSync();
    }
  } catch {
    // It is gone, or not to be read: what was found counts.
  }
  return names;
}

/**
 * The daemon's ear: answers `status`, a line, with JSON, a line. Whoever keeps a connection open hears what the daemon announces, and sees
 * it close when the daemon has wiped what it had.
 */
export class ControlSocket {
  readonly #server: net.Server;
  /** Held, for where it was by its path may be nothing when the mount namespace has ended. */
  #directory: Directory | undefined;
  readonly #name: string;
  readonly #callers = new Set<net.Socket>();

  private constructor(server: net.Server, directory: Directory, name: string) {
    this.#server = server;
    this.#directory = directory;
    this.#name = name;
  }

  /** @throws CkptfsError `io`, or Error in Node's shape, when no socket can be made */
  static async open(device: string, status: () => DaemonStatus): Promise<ControlSocket> {
    const path = ownStateDirectory();
    const directory = Directory.open(path);
    const server = net.createServer({ allowHalfOpen: false });
    server.maxConnections = MAX_CALLERS;
    const name = controlName(device, '.sock');
    const socket = new ControlSocket(server, directory, name);
    server.on('connection', (caller) => socket.#hear(caller, status));
    try {
      await listenAs(server, path, directory, name, controlName(device, '.new'));
      return socket;
    } catch (error) {
      server.close();
      directory.close();
      throw error;
    }
  }

  /** Tells all that are connected. */
  announce(event: DaemonEvent): void {
    for (const caller of this.#callers) caller.write(`${JSON.stringify(event)}\n`);
  }

  /** @param last to be announced before, also to those whose connection was not taken yet */
  async close(last?: DaemonEvent): Promise<void> {
    this.#unlink();
    // Whoever connected before waits in the kernel, and is taken within the next turn of the event loop.
    for (let turns = 0; turns < 2; turns++) await turn();
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

/**
 * Gives a socket its name once it listens. Between bind(2) and listen(2) the kernel refuses connections, and whoever looked
 * into the directory then would remove it as the socket of a dead daemon.
 * @throws Error EEXIST when something has that name
 */
async function listenAs(
  server: net.Server,
  path: string,
  directory: Directory,
  name: string,
  draft: string,
): Promise<void> {
  // Of a process of the same pid that was killed here.
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

/** Where it cannot be removed it does no harm, and who looks into the directory removes it. */
function removeEntry(directory: Directory, name: string): void {
  try {
    directory.unlink(name);
  } catch {
    // Mostly it is not there.
  }
}

/** The bytes that ask a daemon for its status. */
export const statusQuestion = STATUS_QUESTION;
