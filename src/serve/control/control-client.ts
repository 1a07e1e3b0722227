import { closeSync, fstatSync } from 'node:fs';
import net from 'node:net';
import type { Deadline } from '../../base/deadline.ts';
import { systemErrorName } from '../../base/errors.ts';
import { Directory } from '../../base/linux/directory.ts';
import { O_PATH } from '../../base/linux/open-flags.ts';
import { connectTo, type Peer, peerOf } from '../../base/linux/sockets.ts';
import { mountIdOf } from '../../fuse/mount/mountinfo.ts';
import { type DaemonEvent, type DaemonStatus, isEvent, isStatus, STATUS_QUESTION } from './control-messages.ts';
import { type ControlName, controlNames } from './control-names.ts';
import { isStopped } from './process-state.ts';

/** Bytes that are heard of one daemon at most. It has little to say, and is not asked twice. */
const MAX_HEARD = 65536;
/** How often a daemon that does not answer is looked at, whether it is stopped. */
const LOOK_MILLISECONDS = 500;

/** A connection to a process that may be a daemon: by the kernel's word one of the right user's. */
export interface DaemonLink {
  readonly peer: Peer;
  /**
   * Returns what it says of itself. Undefined when it says nothing that makes sense until the deadline, and at once when the
   * kernel keeps it from running or the connection ends. It may still come: asked again, it is waited for again.
   */
  status(deadline: Deadline): Promise<DaemonStatus | undefined>;
  /** Waits until the connection ends, as it does when the daemon has wiped what it had, or is dead; false at the deadline. */
  ended(deadline: Deadline): Promise<boolean>;
  /** Returns what the daemon announced last. */
  lastEvent(): DaemonEvent | undefined;
  close(): void;
}

/**
 * - `link`: somebody listens, and it is who it should be.
 * - `dead`: by the kernel's word nobody does. Only that means that a daemon is dead.
 * - `silent`: that cannot be said, as when it is too busy to take one more connection.
 * - `stranger`: what is there is no socket, or another user listens.
 */
export type Call = DaemonLink | 'dead' | 'silent' | 'stranger';

/**
 * Connects to the socket of a daemon. Never waits, and nothing is said or heard before the kernel said whose it is.
 * @param owner user id
 */
export function callDaemon(name: ControlName, owner: number): Call {
  try {
    const fd = connectHeld(name);
    return fd === undefined ? 'stranger' : linkTo(fd, owner);
  } catch (error) {
    const reason = systemErrorName(error);
    return reason === 'ECONNREFUSED' || reason === 'ENOENT' ? 'dead' : 'silent';
  }
}

/**
 * Takes over a connected descriptor, and closes it unless the kernel says that the right user listens.
 * @throws Error when the kernel does not say who listens
 */
export function linkTo(fd: number, owner: number): DaemonLink | 'stranger' {
  let link: DaemonLink | undefined;
  try {
    const peer = peerOf(fd);
    if (peer.uid === owner) link = linkOver(new net.Socket({ fd, readable: true, writable: true }), peer);
    return link ?? 'stranger';
  } finally {
    if (link === undefined) closeSync(fd);
  }
}

/**
 * Connects by a descriptor of the socket itself, because in another user's directory its name may lead somewhere else at
 * any moment, as into a file system that never answers.
 */
function connectHeld({ directory, name }: ControlName): number | undefined {
  const held = directory.openFile(name, O_PATH);
  try {
    if (mountIdOf(held) !== mountIdOf(directory.fd) || !fstatSync(held).isSocket()) return undefined;
    return connectTo(`/proc/self/fd/${held}`);
  } finally {
    closeSync(held);
  }
}

/** Removes what daemons of a device that were killed left in this user's own state directory, or else it would pile up. */
export function removeStaleSockets(path: string, device: string): void {
  const directory = Directory.open(path);
  try {
    for (const name of controlNames(directory)) {
      if (name.device !== device) continue;
      const call = callDaemon(name, process.geteuid?.() ?? 0);
      if (call === 'dead') removeStale(name);
      else if (typeof call === 'object') call.close();
    }
  } finally {
    directory.close();
  }
}

/** Removes what a daemon that was killed left. */
export function removeStale({ directory, name }: ControlName): void {
  try {
    directory.unlink(name);
  } catch {
    // It does no harm where it is.
  }
}

function linkOver(socket: net.Socket, peer: Peer): DaemonLink {
  let isClosed = false;
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => {
      isClosed = true;
      resolve();
    });
  });
  socket.on('error', () => socket.destroy());
  let event: DaemonEvent | undefined;
  let answer: DaemonStatus | undefined;
  let onAnswer: () => void = () => undefined;
  const answered = new Promise<void>((resolve) => {
    onAnswer = resolve;
  });
  onLine(socket, (line) => {
    const value = parsed(line);
    if (isEvent(value)) event = value;
    else if (isStatus(value) && answer === undefined) {
      answer = value;
      onAnswer();
    }
  });
  let isAsked = false;
  return {
    peer,
    status: async (deadline) => {
      if (!isAsked) socket.write(STATUS_QUESTION);
      isAsked = true;
      while (answer === undefined && !isClosed && !deadline.hasPassed) {
        await deadline.orAfter(LOOK_MILLISECONDS).wait(Promise.race([answered, closed]));
        if (answer === undefined && isStopped(peer.pid)) break;
      }
      return answer;
    },
    ended: async (deadline) => {
      await deadline.wait(closed);
      return isClosed;
    },
    lastEvent: () => event,
    close: () => socket.destroy(),
  };
}

/** Hears lines; who says more than all that a daemon has to say is none. */
function onLine(socket: net.Socket, hear: (line: string) => void): void {
  let text = '';
  let heard = 0;
  socket.setEncoding('utf8').on('data', (part: string) => {
    heard += part.length;
    if (heard > MAX_HEARD) return void socket.destroy();
    const lines = `${text}${part}`.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) hear(line);
  });
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
