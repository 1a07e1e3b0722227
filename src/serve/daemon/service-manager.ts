import { constants } from 'node:os';
import { bind, lastErrno, Region } from '../../base/linux/native.ts';
import { systemError } from '../../base/linux/posix.ts';
import { printable } from '../../base/printable.ts';

const calls = {
  socket: bind('socket', 'int', ['int', 'int', 'int']),
  setsockopt: bind('setsockopt', 'int', ['int', 'int', 'int', 'uintptr_t', 'uint32_t']),
  sendto: bind('sendto', 'int64_t', ['int', 'uintptr_t', 'size_t', 'int', 'uintptr_t', 'uint32_t']),
  close: bind('close', 'int', ['int']),
} as const;

/** From sys/socket.h and bits/socket.h, as Linux has them on every processor that Node runs on. */
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const SOL_SOCKET = 1;
const SO_SNDTIMEO = 21;

/** `sun_path` of sockaddr_un(7). */
const MAX_SOCKET_NAME = 108;
/** How long a manager that does not read may hold up the daemon. */
const SEND_SECONDS = 5n;
/** Characters of a status. */
const MAX_STATUS = 1000;

/**
 * The service manager that started this process and wants to be told of its state, by the protocol of sd_notify(3): datagrams to the
 * socket that NOTIFY_SOCKET names. Never throws: what cannot be told is a warning, and the mount serves all the same.
 */
export class ServiceManager {
  readonly #socketName: string | undefined;
  readonly #onWarning: (text: string) => void;

  /** @param socketName a path, or `@` and a name in the abstract namespace; undefined when nobody wants to be told */
  constructor(socketName: string | undefined, onWarning: (text: string) => void) {
    this.#socketName = socketName;
    this.#onWarning = onWarning;
  }

  /** What was started serves. */
  ready(status: string): void {
    this.#send(`READY=1\n${statusLine(status)}`);
  }

  /** It serves no more, and ends as soon as it has done the rest. */
  stopping(status: string): void {
    this.#send(`STOPPING=1\n${statusLine(status)}`);
  }

  /** What a person is to see of it. */
  status(status: string): void {
    this.#send(statusLine(status));
  }

  #send(text: string): void {
    if (this.#socketName === undefined) return;
    try {
      sendDatagram(socketAddress(this.#socketName), Buffer.from(text));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#onWarning(`the service manager at ${this.#socketName} cannot be told "${text}": ${reason}`);
    }
  }
}

/** A line feed would begin another assignment. */
function statusLine(status: string): string {
  return `STATUS=${printable(status, MAX_STATUS)}`;
}

/** A sockaddr_un: the family, and a path with a NUL behind it or, in the abstract namespace, a NUL with a name behind it. @throws Error */
function socketAddress(name: string): Buffer {
  const isAbstract = name.startsWith('@');
  if (!isAbstract && !name.startsWith('/')) throw new Error('its address is neither a path nor an abstract name');
  const path = Buffer.from(isAbstract ? `\0${name.slice(1)}` : `${name}\0`);
  if (path.length > MAX_SOCKET_NAME) throw new Error('its address is too long');
  const family = Buffer.alloc(2);
  family.writeUInt16LE(AF_UNIX);
  return Buffer.concat([family, path]);
}

/** @throws Error in Node's shape */
function sendDatagram(address: Buffer, datagram: Buffer): void {
  const socket = calls.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) throw systemError('socket');
  try {
    const timeout = new Region(Buffer.from(new BigInt64Array([SEND_SECONDS, 0n]).buffer));
    calls.setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, timeout.address, timeout.length);
    const [to, bytes] = [new Region(address), new Region(datagram)];
    let sent: number;
    do sent = calls.sendto(socket, bytes.address, bytes.length, MSG_NOSIGNAL, to.address, to.length);
    while (sent < 0 && lastErrno() === constants.errno.EINTR);
    if (sent < 0) throw systemError('sendto');
  } finally {
    calls.close(socket);
  }
}
