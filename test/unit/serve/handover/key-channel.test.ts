import fs from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sendDescriptor } from '../../../../src/base/linux/passed-descriptors.ts';
import { socketPair } from '../../../../src/base/linux/sockets.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { handOverKey, offerKeyChannel, receiveKey } from '../../../../src/serve/handover/key-channel.ts';

let command: number;
let daemon: number;
const imageKey = Secret.random(32);
const refused = expect.objectContaining({ code: 'internal' });

beforeEach(() => {
  [command, daemon] = socketPair();
});
afterEach(() => {
  for (const fd of [command, daemon]) fs.closeSync(fd);
});

test('the key goes over the channel that the daemon offers', async () => {
  const channel = offerKeyChannel(daemon);
  handOverKey(command, process.pid, imageKey);
  const received = Secret.zeros(32);
  expect(await receiveKey(channel, received)).toBe(true);
  expect(Buffer.from(received.bytes).equals(imageKey.bytes)).toBe(true);
});

test('no key is sent where no channel is offered', () => {
  expect(() => handOverKey(command, process.pid, imageKey)).toThrow(refused);
});

test('no key is sent to another process', () => {
  const channel = offerKeyChannel(daemon);
  expect(() => handOverKey(command, process.ppid, imageKey)).toThrow(refused);
  expect(fs.readSync(channel, Buffer.alloc(32))).toBe(0);
  fs.closeSync(channel);
});

test('no key is sent over sockets that the daemon had before it was hardened', () => {
  for (const own of [daemon, command]) {
    sendDescriptor(daemon, own);
    expect(() => handOverKey(command, process.pid, imageKey)).toThrow(refused);
  }
});

test('a daemon learns that it gets no key', async () => {
  const channel = offerKeyChannel(daemon);
  const [later, other] = socketPair();
  // The command ends, with the channel that was offered to it.
  fs.closeSync(command);
  [command] = [later];
  expect(await receiveKey(channel, Secret.zeros(32))).toBe(false);
  fs.closeSync(other);
});

test('a daemon learns that the command is gone when it offers the channel', () => {
  const [ours, theirs] = socketPair();
  fs.closeSync(ours);
  expect(() => offerKeyChannel(theirs)).toThrow(refused);
  fs.closeSync(theirs);
});

test('a command does not fail when the daemon is gone: the reports of the daemon say why', () => {
  fs.closeSync(offerKeyChannel(daemon));
  handOverKey(command, process.pid, imageKey);
});
