import { expect } from 'vitest';
import { Connection } from '../../../../src/fuse/device/connection.ts';
import { COUNTER_SLOTS } from '../../../../src/fuse/protocol/counters.ts';
import { MemoryFileSystem } from '../../../support/fuse/memory-file-system.ts';
import {
  type DecodedReply,
  encodeRequest,
  exchange,
  type RequestFields,
} from '../../../support/fuse/request-encoder.ts';

/** The seconds for which the kernel may cache an immutable file system. */
export const year = 365n * 86400n;
/** The contents of {@link file}. */
export const content = Buffer.from(Array.from({ length: 20_000 }, (_, index) => index % 251));

/** One directory, one file in it, one link to that file, and a connection that serves them. */
export let tree: MemoryFileSystem;
export let file: number;
export let directory: number;
export let link: number;
export let faults: unknown[][];
export let counters: Float64Array;
export let connection: Connection;

/** Makes all of these anew. Must run before each test, because tests change the tree. */
export function serveAnew(): void {
  tree = new MemoryFileSystem();
  directory = tree.addDirectory(1, 'dir');
  file = tree.addFile(
    directory,
    'file',
    content,
    new Map([
      ['user.colour', Buffer.from('blue')],
      ['user.n', Buffer.of()],
    ]),
  );
  link = tree.addLink(1, 'link', Buffer.from('dir/file'));
  faults = [];
  counters = new Float64Array(new SharedArrayBuffer(COUNTER_SLOTS * 8));
  connection = new Connection(tree, { counters, onError: (...fault) => faults.push(fault) });
}

/** Sends a request and returns the reply. @throws Error when there is none */
export function ask(fields: RequestFields, of: Connection = connection): DecodedReply {
  const reply = exchange(of, encodeRequest(fields));
  if (reply === undefined) throw new Error('no reply');
  return reply;
}

/** Sends a request and returns the reply's error, a negative errno or 0. An error must come without a body. */
export function errorOf(fields: RequestFields, of: Connection = connection): number {
  const reply = ask(fields, of);
  expect(reply.error === 0 || reply.body.length === 0).toBe(true);
  return reply.error;
}
