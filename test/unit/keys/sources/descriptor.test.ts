import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, writeSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { closeDescriptor, setNonBlocking } from '../../../../src/base/linux/descriptors.ts';
import { makePipe } from '../../../../src/base/linux/pipe.ts';
import { socketPair } from '../../../../src/base/linux/sockets.ts';
import { openKeySource } from '../../../../src/keys/sources/registry.ts';

const key = 'e5'.repeat(24);
const open: number[] = [];
afterEach(() => {
  for (const fd of open.splice(0)) closeDescriptor(fd);
});

async function read(fd: number): Promise<string> {
  const secret = await (await openKeySource(`fd:${fd}`)).read();
  return Buffer.from(secret.bytes).toString('hex');
}

function write(fd: number, text: string): void {
  writeSync(fd, text);
  closeSync(fd);
}

test('a pipe is read to its end, and stays open', async () => {
  const { readEnd, writeEnd } = makePipe();
  open.push(readEnd);
  write(writeEnd, key);
  expect(await read(readEnd)).toBe(key);
  await expect(read(readEnd)).rejects.toThrow(`fd:${readEnd}: expected a key`);
});

test('so is a socket, which is what many programs give their children', async () => {
  const [ours, theirs] = socketPair();
  open.push(ours);
  write(theirs, key);
  expect(await read(ours)).toBe(key);
});

test('a pipe that another process made non-blocking is waited for', async () => {
  const { readEnd, writeEnd } = makePipe();
  open.push(readEnd);
  setNonBlocking(readEnd, true);
  const script = `sleep 0.2; printf ${key.slice(0, 10)}; sleep 0.2; printf ${key.slice(10)}`;
  const writer = spawn('sh', ['-c', script], { stdio: ['ignore', writeEnd, 'inherit'] });
  const ended = once(writer, 'exit');
  closeDescriptor(writeEnd);
  expect(await read(readEnd)).toBe(key);
  await ended;
});

test.each(['/dev/zero', '/dev/null', '/proc/self'])('%s is no source', async (path) => {
  const fd = openSync(path, 'r');
  open.push(fd);
  await expect(read(fd)).rejects.toMatchObject({ code: 'bad-key-file', data: { reason: 'unreadable' } });
});

test('a descriptor that is only for writing is named', async () => {
  const { readEnd, writeEnd } = makePipe();
  open.push(readEnd, writeEnd);
  await expect(read(writeEnd)).rejects.toMatchObject({ code: 'bad-key-file' });
});
