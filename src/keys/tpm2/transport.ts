import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { MalformedError } from '../../base/bytes.ts';
import { CkptfsError, systemErrorName } from '../../base/errors.ts';
import { Waiting } from '../../base/linux/waiting.ts';
import { printable } from '../../base/printable.ts';

/** Names the TPM where no other text does, as for tpm2-tools. */
export const TCTI_VARIABLE = 'TPM2TOOLS_TCTI';
export const DEFAULT_TCTI = 'device:/dev/tpmrm0';

const DEFAULT_DEVICE = '/dev/tpmrm0';
const DEFAULT_SWTPM = { host: '127.0.0.1', port: 2321 };
const HEADER_SIZE = 10;
/** TPMs answer at most 4096 bytes. */
const MAX_RESPONSE_SIZE = 4096;

/** Where a TPM is: a character device, or a software TPM (swtpm) on a socket. */
export type TpmPlace =
  | { readonly device: string }
  | { readonly path: string }
  | { readonly host: string; readonly port: number };

/** A connection over which one command after the other is sent. */
export interface TpmTransport {
  /** @param signal ends the waiting. @throws CkptfsError `key-unavailable` */
  exchange(command: Buffer, signal: AbortSignal): Promise<Buffer>;
  close(): Promise<void>;
}

/**
 * Parses a TCTI as tpm2-tools name it: `device[:PATH]`, `swtpm[:path=PATH]`, `swtpm:host=HOST,port=PORT`. Returns
 * undefined for anything else.
 */
export function parseTcti(text: string): TpmPlace | undefined {
  const [, kind, rest = ''] = /^(device|swtpm)(?::(.*))?$/s.exec(text) ?? [];
  if (kind === 'device') return { device: rest === '' ? DEFAULT_DEVICE : rest };
  if (kind === undefined) return undefined;
  const fields = new Map(
    rest === '' ? [] : rest.split(',').map((field) => [field.replace(/=.*/s, ''), field.replace(/^[^=]*=?/, '')]),
  );
  const unknown = [...fields.keys()].some((name) => !['path', 'host', 'port'].includes(name));
  const { path, host, port } = Object.fromEntries(fields) as Partial<Record<'path' | 'host' | 'port', string>>;
  if (unknown || (port !== undefined && !/^\d{1,5}$/.test(port))) return undefined;
  if (path !== undefined) return path.startsWith('/') && fields.size === 1 ? { path } : undefined;
  return { host: host ?? DEFAULT_SWTPM.host, port: port === undefined ? DEFAULT_SWTPM.port : Number(port) };
}

/** @param source names the TPM in messages. @throws CkptfsError `key-unavailable` */
export async function connectTpm(source: string, place: TpmPlace, signal: AbortSignal): Promise<TpmTransport> {
  try {
    if ('device' in place) return await DeviceTransport.open(source, place.device);
    return await SocketTransport.connect(source, place, signal);
  } catch (error) {
    throw unreachable(source, error);
  }
}

/** A device, which takes a command by one write and gives the response by one read, once there is one. */
class DeviceTransport implements TpmTransport {
  readonly #source: string;
  readonly #file: FileHandle;
  readonly #waiting: Waiting;
  /** Settles when nothing waits for a response any more. */
  #waited: Promise<unknown> = Promise.resolve();

  private constructor(source: string, file: FileHandle) {
    this.#source = source;
    this.#file = file;
    this.#waiting = new Waiting(file.fd);
  }

  /** Opens a device. Nothing is written into a file of another kind. */
  static async open(source: string, path: string): Promise<DeviceTransport> {
    const file = await open(path, constants.O_RDWR | constants.O_NONBLOCK | constants.O_NOCTTY);
    if ((await file.stat()).isCharacterDevice()) return new DeviceTransport(source, file);
    await file.close();
    throw new MalformedError(`${printable(path)} is no device`);
  }

  async exchange(command: Buffer, signal: AbortSignal): Promise<Buffer> {
    try {
      if (signal.aborted) throw late(this.#source);
      await this.#file.write(command, 0, command.length, null);
      const readable = this.#waiting.readable();
      this.#waited = readable.catch(() => undefined);
      await unlessAborted(signal, readable, this.#source);
      const response = Buffer.alloc(MAX_RESPONSE_SIZE);
      const { bytesRead } = await this.#file.read(response, 0, response.length, null);
      return response.subarray(0, bytesRead);
    } catch (error) {
      throw unreachable(this.#source, error);
    }
  }

  async close(): Promise<void> {
    this.#waiting.end();
    await this.#waited;
    this.#waiting.close();
    await this.#file.close().catch(() => undefined);
  }
}

class SocketTransport implements TpmTransport {
  readonly #source: string;
  readonly #socket: Socket;

  private constructor(source: string, socket: Socket) {
    this.#source = source;
    this.#socket = socket;
  }

  static async connect(
    source: string,
    place: Exclude<TpmPlace, { device: string }>,
    signal: AbortSignal,
  ): Promise<SocketTransport> {
    const socket = createConnection(place);
    const connected = new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve).once('error', reject);
    });
    try {
      await unlessAborted(signal, connected, source);
    } catch (error) {
      socket.on('error', () => undefined).destroy();
      throw error;
    }
    return new SocketTransport(source, socket);
  }

  async exchange(command: Buffer, signal: AbortSignal): Promise<Buffer> {
    const answered = new Promise<Buffer>((resolve, reject) => {
      let response: Buffer = Buffer.alloc(0);
      const onEnd = (): void => reject(new MalformedError('the TPM ended the connection'));
      const onData = (chunk: Buffer): void => {
        response = Buffer.concat([response, chunk]);
        const size = response.length < HEADER_SIZE ? undefined : response.readUInt32BE(2);
        if (size !== undefined && (size < HEADER_SIZE || size > MAX_RESPONSE_SIZE || response.length > size))
          reject(new MalformedError(`a response of ${Math.max(size, response.length)} bytes`));
        else if (response.length === size) resolve(response);
      };
      // Between two commands no listener would have been told.
      if (this.#socket.destroyed) onEnd();
      this.#socket.removeAllListeners('data').removeAllListeners('close').removeAllListeners('error');
      this.#socket.on('data', onData).once('close', onEnd).once('error', reject);
      this.#socket.write(command);
    });
    try {
      return await unlessAborted(signal, answered, this.#source);
    } catch (error) {
      throw unreachable(this.#source, error);
    }
  }

  async close(): Promise<void> {
    this.#socket
      .removeAllListeners()
      .on('error', () => undefined)
      .destroy();
  }
}

/** Waits for a promise until the signal is aborted. @throws CkptfsError `key-unavailable` then */
async function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>, source: string): Promise<T> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(late(source));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function late(source: string): CkptfsError {
  return new CkptfsError('key-unavailable', `${source}: the TPM does not answer in time`, {
    data: { reason: 'timeout' },
  });
}

function unreachable(source: string, error: unknown): CkptfsError {
  if (error instanceof CkptfsError) return error;
  if (error instanceof MalformedError)
    return new CkptfsError('key-unavailable', `${source}: ${error.message}`, {
      data: { reason: 'garbage' },
      cause: error,
    });
  const code = systemErrorName(error) ?? String(error);
  const reason = code === 'EACCES' || code === 'EPERM' ? 'denied' : 'unreachable';
  const problem = code === 'ENOENT' ? 'there is no TPM' : 'the TPM cannot be reached';
  return new CkptfsError('key-unavailable', `${source}: ${problem} (${code})`, { data: { reason }, cause: error });
}
