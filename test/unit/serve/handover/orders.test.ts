import fs from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { socketPair } from '../../../../src/base/linux/sockets.ts';
import type { DaemonConfig } from '../../../../src/serve/handover/daemon-config.ts';
import { receiveConfig, sendConfig } from '../../../../src/serve/handover/orders.ts';

const config = { location: '/enc', mountPoint: '/mnt/größe' } as DaemonConfig;

let command: number;
let daemon: number;
beforeEach(() => {
  [command, daemon] = socketPair();
});
afterEach(() => {
  for (const fd of [command, daemon]) fs.closeSync(fd);
});

/** Replaces an end of the pair by one that the test may close. */
function closeEnd(fd: number): number {
  const [other, unused] = socketPair();
  fs.closeSync(unused);
  fs.closeSync(fd);
  return other;
}

test('a daemon receives the configuration that the command sends', () => {
  sendConfig(command, config);
  expect(receiveConfig(daemon)).toEqual(config);
});

test('a configuration longer than any command line is refused', () => {
  const long = { location: 'x'.repeat(70_000) } as DaemonConfig;
  expect(() => sendConfig(command, long)).toThrow(expect.objectContaining({ code: 'bad-argument' }));
});

test('a command does not fail when the daemon is gone: the reports of the daemon say why', () => {
  daemon = closeEnd(daemon);
  sendConfig(command, config);
});

test.each([
  ['before it sent anything', Buffer.alloc(0)],
  ['within the length', Buffer.from([9, 0])],
  ['within the text', Buffer.from([9, 0, 0, 0, 0x7b])],
  ['after a length that no configuration has', Buffer.from([0xff, 0xff, 0xff, 0xff, 0x7b])],
  ['after a length of zero', Buffer.alloc(4)],
])('a daemon receives no configuration from a command that ended %s', (_, sent) => {
  fs.writeSync(command, sent);
  command = closeEnd(command);
  expect(receiveConfig(daemon)).toBeUndefined();
});

test('a daemon receives no configuration from a command that ended with something unread', () => {
  fs.writeSync(daemon, 'x');
  command = closeEnd(command);
  expect(receiveConfig(daemon)).toBeUndefined();
});
