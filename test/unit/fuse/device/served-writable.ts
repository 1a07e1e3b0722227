import { Connection } from '../../../../src/fuse/device/connection.ts';
import {
  type DecodedReply,
  encodeRequest,
  exchange,
  nameBody,
  type RequestFields,
} from '../../../support/fuse/request-encoder.ts';
import { WritableMemoryFileSystem } from '../../../support/fuse/writable-memory-file-system.ts';

/** A connection to a file system in memory that can be changed, and what it was asked. */
export let tree: WritableMemoryFileSystem;
export let connection: Connection;
export let faults: unknown[][];
/** Each call since {@link serveAnew} or the last {@link takeCalls}: the method, then its arguments. */
let calls: unknown[][];

/** Makes all of these anew. Must run before each test. Its clock counts calls: real times may have any byte in them. */
export function serveAnew(): void {
  let seconds = 1_800_000_000;
  tree = new WritableMemoryFileSystem(undefined, () => ({ seconds: ++seconds, nanoseconds: 0 }));
  calls = [];
  faults = [];
  connection = new Connection(recorded(tree), { onError: (...fault) => faults.push(fault) });
}

/** Returns and clears the calls that change something or a lookup count, with names and values as text. */
export function takeCalls(): unknown[][] {
  const taken = calls.filter(([method]) => !asked.has(String(method)));
  calls = [];
  return taken;
}

const asked = new Set([
  'lookup',
  'getattr',
  'entryAfter',
  'statfs',
  'getxattr',
  'listxattr',
  'seek',
  'read',
  'readlink',
]);

function recorded(target: WritableMemoryFileSystem): WritableMemoryFileSystem {
  return new Proxy(target, {
    get(_, property) {
      const value = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      return (...args: readonly unknown[]) => {
        calls.push([
          String(property),
          ...args.map((arg) => (arg instanceof Uint8Array ? Buffer.from(arg).toString('latin1') : arg)),
        ]);
        return Reflect.apply(value, target, args);
      };
    },
  });
}

/** Sends a request and returns the reply. @throws Error when there is none */
export function ask(fields: RequestFields): DecodedReply {
  const reply = exchange(connection, encodeRequest(fields));
  if (reply === undefined) throw new Error('no reply');
  return reply;
}

/** Sends a request and returns the reply's error, a negative errno or 0. */
export function errorOf(fields: RequestFields): number {
  const { error, body } = ask(fields);
  if (error !== 0 && body.length > 0) throw new Error('something comes with the error');
  return error;
}

/** Finds a node by its name in the root, without a lookup of the kernel. */
export function nodeOf(name: string): number {
  return tree.lookup(1, Buffer.from(name, 'latin1')).node;
}

/** Makes a file in the root without a request. */
export function addFile(name: string, content: Uint8Array = Buffer.of()): number {
  const { node } = tree.create(1, nameBody(name).subarray(0, -1), 0o644, { uid: 0, gid: 0 });
  tree.nodes.get(node)?.content?.write(0, content);
  return node;
}

export function addDirectory(name: string): number {
  return tree.mkdir(1, Buffer.from(name, 'latin1'), 0o755, { uid: 0, gid: 0 }).node;
}
