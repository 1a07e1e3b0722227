// What a connection does with a part that reads ahead, by encoded requests.
import { beforeEach, expect, test } from 'vitest';
import { Errno } from '../../../../src/base/errno.ts';
import { Connection } from '../../../../src/fuse/device/connection.ts';
import { Opcode } from '../../../../src/fuse/protocol/abi.ts';
import { Counter } from '../../../../src/fuse/protocol/counters.ts';
import type { PiecedReply, ReadAhead } from '../../../../src/fuse/protocol/read-ahead.ts';
import {
  encodeRequest,
  exchange,
  type RequestFields,
  readBody,
  u32s,
  u64s,
} from '../../../support/fuse/request-encoder.ts';
import { content, counters, file, serveAnew, tree } from './served-tree.ts';

const HANDLE = 9;

/** Answers reads with two pieces, of which the second is in the reply. */
class RecordingAhead implements ReadAhead {
  readonly calls: unknown[][] = [];
  mayHaveWork = false;

  opened(node: number): number {
    this.calls.push(['opened', node]);
    return HANDLE;
  }

  closed(handle: number): void {
    this.calls.push(['closed', handle]);
  }

  read(handle: number, node: number, offset: number, length: number, reply: PiecedReply): number {
    this.calls.push(['read', handle, node, offset, length]);
    reply.piece(4096, length - 10);
    if (offset > 0) throw Errno.of('EIO');
    reply.piece(reply.memory.address + reply.bodyOffset, 10);
    return length;
  }

  sent(): void {
    this.calls.push(['sent']);
  }

  work(): boolean {
    return false;
  }
}

let ahead: RecordingAhead;
let connection: Connection;

beforeEach(() => {
  serveAnew();
  ahead = new RecordingAhead();
  tree.opensDirect = () => true;
  connection = new Connection(tree, { counters, readAhead: ahead });
});

function ask(fields: RequestFields) {
  return exchange(connection, encodeRequest(fields));
}

function readWith(handle: number, offset: number, size: number): Buffer {
  const body = readBody(offset, size);
  body.writeBigUInt64LE(BigInt(handle), 0);
  return body;
}

test('OPEN gives the file handle, and RELEASE gives it back', () => {
  expect(ask({ opcode: Opcode.FUSE_OPEN, node: file, body: u32s(0, 0) })?.body).toEqual(
    Buffer.concat([u64s(HANDLE), u32s(35, 0)]),
  );
  ask({ opcode: Opcode.FUSE_RELEASE, node: file, body: Buffer.concat([u64s(HANDLE), Buffer.alloc(16)]) });
  ask({ opcode: Opcode.FUSE_RELEASE, node: file, body: Buffer.alloc(24) });
  expect(ahead.calls.filter(([name]) => name !== 'sent')).toEqual([
    ['opened', file],
    ['closed', HANDLE],
  ]);
});

test('READ by a handle is answered in pieces, which are kept until the reply was sent', () => {
  ask({ opcode: Opcode.FUSE_READ, node: file, body: readWith(HANDLE, 0, 5000) });
  expect(connection.vectorLength).toBe(3);
  expect(counters[Counter.bytesRead]).toBe(5000);
  expect(ahead.calls).toEqual([['read', HANDLE, file, 0, 5000]]);
  connection.settle();
  expect(ahead.calls.at(-1)).toEqual(['sent']);
});

test('READ without a handle, and every other request, has no pieces', () => {
  ask({ opcode: Opcode.FUSE_READ, node: file, body: readWith(HANDLE, 0, 5000) });
  expect(ask({ opcode: Opcode.FUSE_READ, node: file, body: readBody(0, 5000) })?.body).toEqual(
    content.subarray(0, 5000),
  );
  expect(connection.vectorLength).toBe(0);
});

test('READ that fails after its first piece is an error without a body', () => {
  expect(ask({ opcode: Opcode.FUSE_READ, node: file, body: readWith(HANDLE, 5000, 5000) })).toMatchObject({
    error: -5,
    body: Buffer.alloc(0),
  });
  expect(connection.vectorLength).toBe(0);
});
