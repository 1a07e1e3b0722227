import { type FileHandle, open } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { MalformedError } from '../../base/bytes.ts';
import type { Deadline } from '../../base/deadline.ts';
import { CkptfsError, systemErrorName } from '../../base/errors.ts';

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
  /** @throws CkptfsError `key-unavailable` */
  exchange(command: Buffer, deadline: Deadline): Promise<Buffer>;
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
export async function connectTpm(source: string, place: TpmPlace, deadline: Deadline): Promise<TpmTransport> {
  try {
    if ('device' in place) return new DeviceTransport(source, await open(place.device, 'r+'));
    return await SocketTransport.connect(source, place, deadline);
  } catch (error) {
    throw unreachable(source, error);
  }
}

/** A device, which takes a command by one write and gives the response by one read. */
class DeviceTransport implements TpmTransport {
  readonly #source: string;
  readonly #file: FileHandle;

  constructor(source: string, file: FileHandle) {
    this.#source = source;
    this.#file = file;
  }

  async exchange(command: Buffer, deadline: Deadline): Promise<Buffer> {
    try {
      await this.#file.write(command, 0, command.length, null);
      const response = Buffer.alloc(MAX_RESPONSE_SIZE);
      const read = await deadline.wait(this.#file.read(response, 0, response.length, null));
      if (read === undefined) throw late(this.#source);
      return response.subarray(0, read.bytesRead);
    } catch (error) {
      throw unreachable(this.#source, error);
    }
  }

  async close(): Promise<void> {
    // A read that was given up may wait on.
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
    deadline: Deadline,
  ): Promise<SocketTransport> {
    const socket = createConnection(place);
    const connected = new Promise<true>((resolve, reject) => {
      socket.once('connect', () => resolve(true)).once('error', reject);
    });
    if ((await deadline.wait(connected)) === undefined) {
      socket.destroy();
      throw late(source);
    }
    return new SocketTransport(source, socket);
  }

  async exchange(command: Buffer, deadline: Deadline): Promise<Buffer> {
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
      this.#socket.removeAllListeners('data').removeAllListeners('close').removeAllListeners('error');
      this.#socket.on('data', onData).once('close', onEnd).once('error', reject);
      this.#socket.write(command);
    });
    try {
      const response = await deadline.wait(answered);
      if (response === undefined) throw late(this.#source);
      return response;
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
