import fs from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ControlSocket, controlNames, controlPath, type DaemonStatus } from '../../../src/serve/control.ts';
import { callDaemon, removeStaleSockets } from '../../../src/serve/control-client.ts';
import { ownStateDirectory } from '../../../src/serve/state-directory.ts';

/** Of no mount: device numbers end at 2^20. */
const device = `9999999:${process.pid}`;
const path = controlPath(ownStateDirectory(), device, process.pid);

const status: DaemonStatus = {
  state: 'serving',
  pid: process.pid,
  mountPoint: '/mnt/größe\n',
  device,
  location: '/enc',
  imageId: '00'.repeat(16),
  transport: 'kernel',
  workers: 2,
  scratch: false,
  write: true,
  uptimeSeconds: 3,
  counters: {
    requests: 1,
    bytesServed: 2,
    storedBytesRead: 3,
    cacheHits: 4,
    cacheMisses: 5,
    authenticationFailures: 6,
  },
  options: { allowOther: false, allowRoot: true, noExec: false, fsName: '/enc', cacheSize: 65536, logFile: '/log' },
};

test('a socket is named by its device and its daemon; links, directories and other names are none, and there is a bound', async () => {
  const directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-control-'));
  const first = join(directory, '0:57-8.sock');
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(first, resolve));
  try {
    for (const name of ['0:57', '0:57.sock', '0-1.sock', 'x:1-1.sock', '0:57-1.sock.new', '0:57-.sock']) {
      fs.linkSync(first, join(directory, name));
    }
    fs.symlinkSync(first, join(directory, '0:58-1.sock'));
    fs.mkdirSync(join(directory, '0:59-1.sock'));
    fs.writeFileSync(join(directory, '0:60-1.sock'), '');
    expect(controlNames(directory)).toEqual([{ path: first, device: '0:57' }]);
    for (let at = 1000; at < 1300; at++) fs.linkSync(first, join(directory, `0:${at}-1.sock`));
    expect(controlNames(directory).length).toBeLessThanOrEqual(256);
  } finally {
    server.close();
    fs.rmSync(directory, { recursive: true });
  }
  expect(controlNames(directory)).toEqual([]);
});

test('what killed daemons of a device left is removed, and nothing else', async () => {
  const directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-control-'));
  const at = (name: string): string => join(directory, name);
  const [living, dead] = [net.createServer(), net.createServer()];
  await new Promise<void>((resolve) => living.listen(at('0:57-1.sock'), resolve));
  await new Promise<void>((resolve) => dead.listen(at('dead'), resolve));
  try {
    for (const name of ['0:57-2.sock', '0:57-3.sock', '0:58-2.sock']) fs.linkSync(at('dead'), at(name));
    fs.mkdirSync(at('0:57-4.sock'));
    await new Promise((resolve) => dead.close(resolve));
    await removeStaleSockets(directory, '0:57');
    expect(fs.readdirSync(directory).sort()).toEqual(['0:57-1.sock', '0:57-4.sock', '0:58-2.sock']);
  } finally {
    living.close();
    fs.rmSync(directory, { recursive: true });
  }
});

describe('a daemon', () => {
  let socket: ControlSocket;
  beforeEach(async () => {
    socket = await ControlSocket.open(device, () => status);
  });
  afterEach(() => socket.close());

  test('answers its status, to several callers', async () => {
    const callers = await Promise.all([callDaemon(path), callDaemon(path)]);
    for (const caller of callers) expect(await caller?.status()).toEqual(status);
    for (const caller of callers) caller?.close();
  });

  test('lets callers know when it ends', async () => {
    const caller = await callDaemon(path);
    expect(await caller?.ended(50)).toBe(false);
    socket.close();
    expect(await caller?.ended(1000)).toBe(true);
    expect(fs.existsSync(path)).toBe(false);
    expect(await callDaemon(path)).toBeUndefined();
  });

  test('says what becomes of what was written, as long as it takes', async () => {
    const caller = await callDaemon(path);
    expect(await caller?.status()).toEqual(status);
    expect(caller?.lastEvent()).toBeUndefined();
    const pulse = setInterval(() => socket.announce({ event: 'sealing' }), 20);
    setTimeout(() => {
      clearInterval(pulse);
      socket.close({ event: 'unsealed', error: { code: 'io', message: 'no room', advice: 'Make some.' } });
    }, 300);
    expect(await caller?.ended(150)).toBe(true);
    expect(caller?.lastEvent()).toEqual({
      event: 'unsealed',
      error: { code: 'io', message: 'no room', advice: 'Make some.' },
    });
  });

  test('hangs up on who asks at length', async () => {
    const caller = net.connect(path);
    caller.on('error', () => undefined);
    caller.write('x'.repeat(100_000));
    await new Promise((resolve) => caller.once('close', resolve));
    expect(await (await callDaemon(path))?.status()).toEqual(status);
  });

  test('can be reached by its user alone', () => {
    expect(fs.statSync(path).mode & 0o777).toBe(0o600);
    expect(fs.statSync(ownStateDirectory()).mode & 0o777).toBe(0o700);
  });
});

test.each([
  ['nothing', ''],
  ['no JSON', 'hello\n'],
  ['no object', '7\n'],
  ['a member of the wrong type', `${JSON.stringify({ ...status, pid: 'one' })}\n`],
  ['counters missing', `${JSON.stringify({ ...status, counters: {} })}\n`],
  ['no state', `${JSON.stringify({ ...status, state: 'asleep' })}\n`],
])('a socket that answers %s is no daemon', async (_, answer) => {
  const directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-socket-'));
  const server = net.createServer((caller) => caller.end(answer));
  await new Promise<void>((resolve) => server.listen(join(directory, 's'), resolve));
  try {
    const caller = await callDaemon(join(directory, 's'));
    expect(caller).toBeDefined();
    expect(await caller?.status()).toBeUndefined();
  } finally {
    server.close();
    fs.rmSync(directory, { recursive: true });
  }
});

test.each([
  ['an error that is none', { event: 'unsealed', error: { code: 'io' } }],
  ['an unknown code', { event: 'unsealed', error: { code: 'x', message: 'y' } }],
  ['advice that is no text', { event: 'unsealed', error: { code: 'io', message: 'y', advice: 7 } }],
  ['another event', { event: 'asleep' }],
])('a socket that announces %s announces nothing', async (_, event) => {
  const directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-socket-'));
  const server = net.createServer((caller) => caller.end(`${JSON.stringify(event)}\n`));
  await new Promise<void>((resolve) => server.listen(join(directory, 's'), resolve));
  try {
    const caller = await callDaemon(join(directory, 's'));
    expect(await caller?.ended(1000)).toBe(true);
    expect(caller?.lastEvent()).toBeUndefined();
  } finally {
    server.close();
    fs.rmSync(directory, { recursive: true });
  }
});
