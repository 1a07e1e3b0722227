import { closeSync, fdatasyncSync, constants as fsConstants, fstatSync, openSync, writeSync } from 'node:fs';
import { CkptfsError, ioError } from '../errors.ts';
import { sendDatagram } from './sockets.ts';

/** What stands for the log of the system, instead of a path. */
export const SYSLOG = 'syslog';
const SYSLOG_SOCKET = '/dev/log';
/** Facility authpriv, severity informational (RFC 5424). */
const PRIORITY = '<86>';
const SYSLOG_SECONDS = 5;

/** What happened to an image. Has no secret. */
export interface AuditEvent {
  readonly event:
    | 'open'
    | 'refused'
    | 'lock'
    | 'unlock'
    | 'unmount'
    | 'lease'
    | 'renewal'
    | 'revocation'
    | 'unreachable'
    | 'expiry'
    | 'destroy'
    | 'shred';
  /** Where the image is. */
  readonly image: string;
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** The number of the key slot, from 1, as `ckptfs key list` shows it. */
  readonly slot?: number | undefined;
  /** What opened it. */
  readonly source?: string | undefined;
  /** Whether another process of this host had asked for the key. */
  readonly shared?: boolean | undefined;
  /** For how long the key may be used. */
  readonly seconds?: number | undefined;
  /** The reason in the data of an error; why a mount was locked or unmounted. */
  readonly reason?: string | undefined;
  /** `ok`, or the code of an error. */
  readonly result: string;
}

/** Where a line is kept for each time that an image is opened. */
export class AuditLog {
  readonly #target: string;
  readonly #version: string;
  /** Undefined for the log of the system. */
  readonly #fd: number | undefined;

  private constructor(target: string, version: string, fd: number | undefined) {
    this.#target = target;
    this.#version = version;
    this.#fd = fd;
  }

  /**
   * Opens a file to append to, and creates it with mode 0600.
   * @param target an absolute path, or {@link SYSLOG}
   * @param version of ckptfs
   * @throws CkptfsError `io`
   */
  static open(target: string, version: string): AuditLog {
    return new AuditLog(target, version, target === SYSLOG ? undefined : openToAppend(target));
  }

  /** Writes one line of JSON in one piece, durably as far as the file is. @throws CkptfsError `io` */
  write(event: AuditEvent): void {
    const line = auditLine(event, this.#version);
    try {
      if (this.#fd === undefined) {
        const message = `${PRIORITY}ckptfs[${process.pid}]: ${line}`;
        sendDatagram(Buffer.from(SYSLOG_SOCKET), Buffer.from(message), SYSLOG_SECONDS);
        return;
      }
      const bytes = Buffer.from(`${line}\n`);
      if (writeSync(this.#fd, bytes) !== bytes.length) throw new Error('the line was cut off');
      if (fstatSync(this.#fd).isFile()) fdatasyncSync(this.#fd);
    } catch (cause) {
      throw ioError('write to the audit log', this.#target, cause);
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }
}

/** Returns an event as JSON in ASCII, whatever bytes a path or a name has. */
export function auditLine(event: AuditEvent, version: string, now = new Date()): string {
  const { event: name, ...facts } = event;
  const who = { uid: process.getuid?.() ?? 0, pid: process.pid, version };
  const json = JSON.stringify({ time: now.toISOString(), event: name, ...who, ...facts });
  return json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function openToAppend(path: string): number {
  const { O_APPEND, O_CREAT, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = fsConstants;
  try {
    const fd = openSync(path, O_APPEND | O_CREAT | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK | O_WRONLY, 0o600);
    const found = fstatSync(fd);
    if (found.isFile() || found.isCharacterDevice()) return fd;
    closeSync(fd);
  } catch (cause) {
    throw ioError('open the audit log', path, cause);
  }
  throw new CkptfsError('io', `cannot use ${path} as an audit log: it is not a regular file`, { path });
}
