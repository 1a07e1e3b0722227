import type { SecureContext } from 'node:tls';
import { MalformedError } from '../../base/bytes.ts';
import { wipe } from '../../base/wipe.ts';
import type { ServerAddress } from './address.ts';
import { Connection } from './connection.ts';
import {
  decodeResponse,
  encodeRequest,
  enumeration,
  OperationFailure,
  type ProtocolVersion,
  protocolVersions,
  versionItem,
  versionsIn,
} from './messages.ts';
import { ServerFailure } from './server-failure.ts';
import { type OperationName, operation, QUERY_OPERATIONS, resultReason, tag } from './tags.ts';
import type { Ttlv } from './ttlv.ts';

/** Versions of which one is spoken unless another one was named. */
const DEFAULT_VERSIONS: readonly ProtocolVersion[] = ['2.0', '1.4', '1.3'];
/** The version in which a server is asked for its versions: every server that has a later one knows it. */
const FIRST_VERSION: ProtocolVersion = '1.2';

/** A connection to a server, and what is known of that server. */
export class Session {
  readonly server: ServerAddress;
  readonly version: ProtocolVersion;
  readonly #connection: Connection;
  #operations: ReadonlySet<number> | undefined;

  private constructor(server: ServerAddress, connection: Connection, version: ProtocolVersion) {
    this.server = server;
    this.#connection = connection;
    this.version = version;
  }

  /**
   * Connects, and agrees on the highest version that both have.
   * @param version the only one that is wanted
   * @throws ServerFailure; the reason of an abort
   */
  static async open(
    server: ServerAddress,
    secureContext: SecureContext,
    version: ProtocolVersion | undefined,
    signal: AbortSignal,
  ): Promise<Session> {
    const connection = await Connection.open(server, secureContext, signal);
    try {
      return new Session(server, connection, await agreedVersion(connection, version, signal));
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.#connection.isOpen;
  }

  /**
   * Asks for one operation.
   * @param payload may have secrets: the message is wiped
   * @param use reads the answer, of which nothing is left afterwards; it may throw MalformedError
   * @throws OperationFailure when the server has not done it; ServerFailure; the reason of an abort
   */
  ask<T>(
    name: OperationName,
    payload: readonly Ttlv[],
    signal: AbortSignal,
    use: (answer: readonly Ttlv[]) => T,
  ): Promise<T> {
    return ask(this.#connection, this.version, name, payload, signal, use);
  }

  /** Tells whether the server says that it has all these operations. @throws as {@link ask} */
  async has(names: readonly OperationName[], signal: AbortSignal): Promise<boolean> {
    const query = [enumeration(tag.queryFunction, QUERY_OPERATIONS)];
    this.#operations ??= await this.ask('query', query, signal, operationsIn);
    const known = this.#operations;
    return names.every((name) => known.has(operation[name]));
  }

  close(): void {
    this.#connection.close();
  }
}

async function ask<T>(
  connection: Connection,
  version: ProtocolVersion,
  name: OperationName,
  payload: readonly Ttlv[],
  signal: AbortSignal,
  use: (answer: readonly Ttlv[]) => T,
): Promise<T> {
  const request = encodeRequest(version, name, payload);
  let answer: Buffer | undefined;
  try {
    answer = await connection.exchange(request, signal);
    return use(decodeResponse(answer, name));
  } catch (error) {
    if (error instanceof MalformedError)
      throw new ServerFailure('garbage', `its answer is wrong: ${error.message}`, false);
    if (error instanceof OperationFailure) throw asPassing(error);
    throw error;
  } finally {
    wipe(request);
    if (answer !== undefined) wipe(answer);
  }
}

function operationsIn(answer: readonly Ttlv[]): ReadonlySet<number> {
  return new Set(
    answer.flatMap((item) => (item.tag === tag.operation && item.type === 'enumeration' ? [item.value] : [])),
  );
}

async function agreedVersion(
  connection: Connection,
  version: ProtocolVersion | undefined,
  signal: AbortSignal,
): Promise<ProtocolVersion> {
  const wanted = version === undefined ? DEFAULT_VERSIONS : [version];
  const payload = protocolVersions.map(versionItem);
  const offered = await ask(connection, FIRST_VERSION, 'discoverVersions', payload, signal, versionsIn).catch(
    (error: unknown): readonly string[] => {
      if (error instanceof OperationFailure) return [];
      throw error;
    },
  );
  const agreed = wanted.find((each) => offered.includes(each));
  if (agreed !== undefined) return agreed;
  const theirs = offered.length === 0 ? 'it does not say which versions it has' : `it has KMIP ${offered.join(', ')}`;
  throw new ServerFailure('refused', `${theirs}; ${wanted.join(' or ')} is wanted`, false);
}

/** Makes what the server may do a little later, or another server at once, a failure of the server. */
function asPassing(error: OperationFailure): Error {
  const { internalServerError, serverLimitExceeded } = resultReason;
  if (error.reason !== internalServerError && error.reason !== serverLimitExceeded) return error;
  return new ServerFailure('unreachable', 'it is in trouble', true);
}
