import { sendDatagram } from '../../base/linux/sockets.ts';
import { printable } from '../../base/printable.ts';

/** Bytes of `sun_path` of sockaddr_un(7), with the NUL at the end of a path. */
const MAX_SOCKET_NAME = 108;
/** How long a manager that does not read may hold up the daemon. */
const SEND_SECONDS = 5;
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
      sendDatagram(socketPath(this.#socketName), Buffer.from(text), SEND_SECONDS);
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

/** Returns the name as the kernel has it: one in the abstract namespace begins with a NUL. @throws Error */
function socketPath(name: string): Buffer {
  const isAbstract = name.startsWith('@');
  if (!isAbstract && !name.startsWith('/')) throw new Error('its address is neither a path nor an abstract name');
  const path = Buffer.from(isAbstract ? `\0${name.slice(1)}` : name);
  if (path.length > (isAbstract ? MAX_SOCKET_NAME : MAX_SOCKET_NAME - 1)) throw new Error('its address is too long');
  return path;
}
