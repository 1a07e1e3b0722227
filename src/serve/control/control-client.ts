import { closeSync, fstatSync } from 'node:fs';
import net from 'node:net';
import type { Deadline } from '../../base/deadline.ts';
import { systemErrorName } from '../../base/errors.ts';
import { Directory } from '../../base/linux/directory.ts';
import { O_PATH } from '../../base/linux/open-flags.ts';
import { connectTo, type Peer, peerOf } from '../../base/linux/sockets.ts';
import { settleable } from '../../base/settleable.ts';
import { mountIdOf } from '../../fuse/mount/mountinfo.ts';
import {
  type DaemonEvent,
  type DaemonStatus,
  isEvent,
  isKeyAnswer,
  isProfileAnswer,
  isStatus,
  type KeyAnswer,
  PROFILE_QUESTION,
  type ProfileAnswer,
  STATUS_QUESTION,
} from './control-messages.ts';
import { type ControlName, controlNames } from './control-names.ts';
import { isStopped } from './process-state.ts';

/** How many bytes are read from one daemon. Its answers are short, and it is asked once. */
const MAX_RECEIVED = 65536;
/** How many more are read when it is asked for a profile: one of 1 MiB, written in a text of JSON. */
const MAX_PROFILE = 4_194_304;
/** How often a daemon that does not answer is checked for being stopped. */
const LOOK_MILLISECONDS = 500;

/** A connection to a process that may be a daemon. The kernel says that it is one of the right user's. */
export interface DaemonLink {
  readonly peer: Peer;
  /**
   * Asks for its status. Returns undefined if no valid answer comes until the deadline, and at once if the kernel keeps
   * it from running or the connection ends. The answer may still come: a second call waits for it again.
   */
  status(deadline: Deadline): Promise<DaemonStatus | undefined>;
  /**
   * Waits until the connection ends, which it does when the daemon has wiped its keys or is dead. Returns false at the
   * deadline.
   */
  ended(deadline: Deadline): Promise<boolean>;
  /** Gives an order, if one is given, and waits for the answer to it. Returns undefined if none comes in time. */
  keyAnswer(deadline: Deadline, order?: string): Promise<KeyAnswer | undefined>;
  /** Asks what was read of an image in a remote store. Returns undefined if no answer comes until the deadline. */
  profile(deadline: Deadline): Promise<ProfileAnswer | undefined>;
  /** Returns the daemon's last announcement. */
  lastEvent(): DaemonEvent | undefined;
  close(): void;
}

/**
 * - a link: a process of the right user listens.
 * - `dead`: the kernel says that no process listens. Nothing else means that a daemon is dead.
 * - `silent`: it is not known, for example because the daemon is too busy to accept one more connection.
 * - `stranger`: the file is not a socket, or a process of another user listens.
 */
export type Call = DaemonLink | 'dead' | 'silent' | 'stranger';

/**
 * Connects to the socket of a daemon. Never waits; nothing is sent or read before the kernel has said whose it is.
 * @param owner the user id that the daemon must have
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
 * @throws Error when the kernel does not say which process listens
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
 * Connects by a descriptor of the socket itself. In another user's directory its name may lead elsewhere at any moment,
 * for example into a file system that never answers.
 */
export function connectHeld({ directory, name }: ControlName): number | undefined {
  const held = directory.openFile(name, O_PATH);
  try {
    if (mountIdOf(held) !== mountIdOf(directory.fd) || !fstatSync(held).isSocket()) return undefined;
    return connectTo(`/proc/self/fd/${held}`);
  } finally {
    closeSync(held);
  }
}

/** Removes the sockets that killed daemons of a device left in this user's own state directory. */
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

/** Removes the socket of a daemon that was killed. */
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
  const keyAnswer = settleable<KeyAnswer>();
  const profile = settleable<ProfileAnswer>();
  let mostReceived = MAX_RECEIVED;
  const onLine = (line: string): void => {
    const value = parsed(line);
    if (isEvent(value)) event = value;
    else if (isKeyAnswer(value)) keyAnswer.resolve(value);
    else if (isProfileAnswer(value)) profile.resolve(value);
    else if (isStatus(value) && answer === undefined) {
      answer = value;
      onAnswer();
    }
  };
  forEachLine(socket, onLine, () => mostReceived);
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
    keyAnswer: async (deadline, order) => {
      if (order !== undefined) socket.write(order);
      return deadline.wait(Promise.race([keyAnswer.promise, closed.then(() => undefined)]));
    },
    profile: async (deadline) => {
      mostReceived += MAX_PROFILE;
      socket.write(PROFILE_QUESTION);
      return deadline.wait(Promise.race([profile.promise, closed.then(() => undefined)]));
    },
    ended: async (deadline) => {
      await deadline.wait(closed);
      return isClosed;
    },
    lastEvent: () => event,
    close: () => socket.destroy(),
  };
}

/** Passes on each line. Closes the connection after more text than a daemon sends. */
function forEachLine(socket: net.Socket, onLine: (line: string) => void, most: () => number): void {
  let text = '';
  let received = 0;
  socket.setEncoding('utf8').on('data', (part: string) => {
    received += part.length;
    if (received > most()) return void socket.destroy();
    const lines = `${text}${part}`.split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) onLine(line);
  });
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
