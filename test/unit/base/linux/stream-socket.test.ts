import { closeSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Region } from '../../../../src/base/linux/native.ts';
import { socketPair } from '../../../../src/base/linux/sockets.ts';
import { receiveAll, sendAll, trySend } from '../../../../src/base/linux/stream-socket.ts';

test('bytes arrive whole, and the end of the other side is seen', () => {
  const [one, other] = socketPair();
  sendAll(one, new Region(Buffer.from('hello, world')));
  const to = new Region(16);
  expect(receiveAll(other, to, 2, 5)).toBe(5);
  expect(to.bytes.toString('utf8', 2, 7)).toBe('hello');
  closeSync(one);
  expect(receiveAll(other, to, 0, 16)).toBe(7);
  expect(receiveAll(other, to, 0, 16)).toBe(0);
  expect(() => receiveAll(other, to, 10, 7)).toThrow(RangeError);
  expect(() => sendAll(other, to)).toThrow(expect.objectContaining({ code: 'EPIPE' }));
  expect(trySend(other, to)).toBe(false);
  closeSync(other);
});

test('what the other side is slow to read is left out', () => {
  const [one, other] = socketPair();
  const request = new Region(8);
  let sent = 0;
  while (trySend(one, request)) sent++;
  expect(sent).toBeGreaterThan(0);
  expect(receiveAll(other, new Region(8 * sent), 0, 8 * sent)).toBe(8 * sent);
  closeSync(one);
  closeSync(other);
});
