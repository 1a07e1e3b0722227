import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import {
  bytes,
  enumeration,
  integer,
  optional,
  type ProtocolVersion,
  required,
  structure,
  text,
  versionItem,
  versionsIn,
} from '../../src/keys/kmip/messages.ts';
import {
  type KeyState,
  keyStates,
  type OperationName,
  operation,
  resultReason,
  tag,
} from '../../src/keys/kmip/tags.ts';
import { decodeTtlv, encodeTtlv, type Ttlv } from '../../src/keys/kmip/ttlv.ts';

/** What a server has not done, and why. */
export class Refusal extends Error {
  readonly reason: number;

  constructor(reason: number, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Makes the payload of an answer, bytes that are sent as they are, or nothing at all; or throws a {@link Refusal}. */
export type AnswerRequest = (name: OperationName, payload: readonly Ttlv[]) => readonly Ttlv[] | Buffer | undefined;

interface ServerOptions {
  readonly certFile: string;
  readonly keyFile: string;
}

/** A server of KMIP on the loopback interface that holds keys of AES-256, and answers as a test wants it to. */
export class KmipServer {
  readonly keys = new Map<string, { readonly key: Buffer; readonly name: string; state: KeyState }>();
  /** The operations that were asked for. */
  readonly asked: OperationName[] = [];
  versions: readonly ProtocolVersion[] = ['2.0', '1.4', '1.3', '1.2'];
  operations: readonly OperationName[] = ['encrypt', 'decrypt', 'obtainLease'];
  answer: AnswerRequest = (name, payload) => this.honest(name, payload);
  /** Is given each connection instead of answering. */
  onConnection: ((socket: TLSSocket) => void) | undefined;
  connections = 0;
  /** How long it waits before each answer. */
  delayMilliseconds = 0;
  readonly #server: Server;
  readonly #sockets = new Set<TLSSocket>();

  private constructor({ certFile, keyFile }: ServerOptions) {
    const certificates = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
    this.#server = createServer(certificates, (socket) => this.#serve(socket));
    this.#server.on('tlsClientError', () => undefined);
  }

  static async start(options: ServerOptions): Promise<KmipServer> {
    const server = new KmipServer(options);
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  addKey(id: string, state: KeyState = 'active', name = `name of ${id}`): Buffer {
    const key = randomBytes(32);
    this.keys.set(id, { key, name, state });
    return key;
  }

  /** Ends all connections, as a server does that has waited long enough. */
  async endConnections(): Promise<void> {
    const ends = [...this.#sockets].map((socket) => once(socket, 'close'));
    for (const socket of this.#sockets) socket.end();
    await Promise.all(ends);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** Answers as a server does that has the keys. */
  honest(name: OperationName, payload: readonly Ttlv[]): readonly Ttlv[] {
    switch (name) {
      case 'discoverVersions': {
        const theirs = versionsIn(payload);
        return this.versions.filter((version) => theirs.includes(version)).map(versionItem);
      }
      case 'query':
        return this.operations.map((each) => enumeration(tag.operation, operation[each]));
      case 'locate':
        return this.#located(payload).map((id) => text(tag.uniqueIdentifier, id));
      default:
        return this.#withKey(name, payload);
    }
  }

  #located(payload: readonly Ttlv[]): string[] {
    const wanted = encodeTtlv(structure(tag.requestPayload, payload)).toString('latin1');
    return [...this.keys].flatMap(([id, { name }]) => (wanted.includes(name) ? [id] : []));
  }

  #withKey(operationName: OperationName, payload: readonly Ttlv[]): readonly Ttlv[] {
    const id = required(payload, tag.uniqueIdentifier, 'text');
    const held = this.keys.get(id);
    if (held === undefined) throw new Refusal(resultReason.itemNotFound, `no key ${id}`);
    const { key, name, state } = held;
    const given = (of: number): Uint8Array => required(payload, of, 'bytes');
    switch (operationName) {
      case 'getAttributes':
        return attributes(payload, name, state);
      case 'get': {
        const value = structure(tag.keyValue, [bytes(tag.keyMaterial, key)]);
        return [structure(tag.symmetricKey, [structure(tag.keyBlock, [enumeration(tag.keyFormatType, 1), value])])];
      }
      case 'obtainLease':
        return [{ tag: tag.leaseTime, type: 'interval', value: 3600 }];
      case 'revoke':
        held.state = 'deactivated';
        return [];
      case 'destroy':
        this.keys.delete(id);
        return [];
      case 'encrypt': {
        const cipher = createCipheriv('aes-256-gcm', key, given(tag.ivCounterNonce));
        cipher.setAAD(given(tag.authenticatedEncryptionAdditionalData));
        const data = Buffer.concat([cipher.update(given(tag.data)), cipher.final()]);
        return [bytes(tag.data, data), bytes(tag.authenticatedEncryptionTag, cipher.getAuthTag())];
      }
      case 'decrypt': {
        const cipher = createDecipheriv('aes-256-gcm', key, given(tag.ivCounterNonce));
        cipher.setAAD(given(tag.authenticatedEncryptionAdditionalData));
        cipher.setAuthTag(given(tag.authenticatedEncryptionTag));
        try {
          return [bytes(tag.data, Buffer.concat([cipher.update(given(tag.data)), cipher.final()]))];
        } catch {
          throw new Refusal(resultReason.cryptographicFailure, 'not authentic');
        }
      }
      default:
        throw new Refusal(5, 'not supported');
    }
  }

  #serve(socket: TLSSocket): void {
    this.connections++;
    this.#sockets.add(socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket)));
    if (this.onConnection !== undefined) {
      this.onConnection(socket);
      return;
    }
    let received = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 8 && received.length >= 8 + received.readUInt32BE(4)) {
        const size = 8 + received.readUInt32BE(4);
        const answer = this.#answered(received.subarray(0, size));
        received = received.subarray(size);
        if (answer !== undefined) setTimeout(() => socket.write(answer), this.delayMilliseconds);
      }
    });
  }

  #answered(message: Buffer): Buffer | undefined {
    const request = decodeTtlv(message);
    const item = required(request.value as readonly Ttlv[], tag.batchItem, 'structure');
    const number = required(item, tag.operation, 'enumeration');
    const name = (Object.keys(operation) as OperationName[]).find((each) => operation[each] === number) ?? 'query';
    this.asked.push(name);
    try {
      const payload = this.answer(name, optional(item, tag.requestPayload, 'structure') ?? []);
      return payload === undefined || Buffer.isBuffer(payload) ? payload : response(name, payload);
    } catch (error) {
      if (error instanceof Refusal) return refused(name, error);
      throw error;
    }
  }
}

/** Encodes the answer to a request that was done. */
export function response(name: OperationName, payload: readonly Ttlv[]): Buffer {
  return answered(name, 0, [structure(tag.responsePayload, payload)]);
}

function refused(name: OperationName, { reason, message }: Refusal): Buffer {
  return answered(name, 1, [enumeration(tag.resultReason, reason), text(tag.resultMessage, message)]);
}

function answered(name: OperationName, status: number, items: readonly Ttlv[]): Buffer {
  return encodeTtlv(
    structure(tag.responseMessage, [
      structure(tag.responseHeader, [versionItem('1.4'), integer(tag.batchCount, 1)]),
      structure(tag.batchItem, [
        enumeration(tag.operation, operation[name]),
        enumeration(tag.resultStatus, status),
        ...items,
      ]),
    ]),
  );
}

/** Answers as KMIP 1.x where attributes are asked for by their names, and as 2.0 where all are. */
function attributes(payload: readonly Ttlv[], name: string, state: KeyState): readonly Ttlv[] {
  const number = enumeration(tag.state, keyStates.indexOf(state) + 1);
  const nameItems = [text(tag.nameValue, name), enumeration(tag.nameType, 1)];
  if (payload.length === 1) return [structure(tag.attributes, [number, structure(tag.name, nameItems)])];
  return [
    structure(tag.attribute, [text(tag.attributeName, 'State'), { ...number, tag: tag.attributeValue }]),
    structure(tag.attribute, [text(tag.attributeName, 'Name'), structure(tag.attributeValue, nameItems)]),
  ];
}
