import { sendDatagram } from '../../base/linux/sockets.ts';
import { printable } from '../../base/printable.ts';

/** Bytes of `sun_path` of sockaddr_un(7), with the NUL at the end of a path. */
const MAX_SOCKET_NAME = 108;
/** How long a manager that does not read may hold up the daemon. */
const SEND_SECONDS = 5;
/** In characters. */
const MAX_STATUS = 1000;

/**
 * Tells the service manager that started this process about its state, by the protocol of sd_notify(3): datagrams to
 * the socket that NOTIFY_SOCKET names. Never throws: a failure is a warning, and the mount serves all the same.
 */
export class ServiceManager {
  readonly #socketName: string | undefined;
  readonly #onWarning: (text: string) => void;

  /** @param socketName a path, or `@` and a name in the abstract namespace; undefined if no service manager waits */
  constructor(socketName: string | undefined, onWarning: (text: string) => void) {
    this.#socketName = socketName;
    this.#onWarning = onWarning;
  }

  /** Tells that the mount serves. */
  ready(status: string): void {
    this.#send(`READY=1\n${statusLine(status)}`);
  }

  /** Tells that the mount no longer serves, and that the daemon ends as soon as the rest is done. */
  stopping(status: string): void {
    this.#send(`STOPPING=1\n${statusLine(status)}`);
  }

  /** Tells what a person should see. */
  status(status: string): void {
    this.#send(statusLine(status));
  }

  #send(text: string): void {
    if (this.#socketName === undefined) return;
    try {
      sendDatagram(socketPath(this.#socketName), Buffer.from(text), SEND_SECONDS);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#onWarning(`cannot tell the service manager at ${this.#socketName} "${text}": ${reason}`);
    }
  }
}

/** Returns an assignment of one line, because a line feed would begin another assignment. */
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
