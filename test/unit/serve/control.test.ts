import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import { Directory } from '../../../src/base/linux/directory.ts';
import {
  type ControlName,
  ControlSocket,
  controlNames,
  type DaemonStatus,
} from '../../../src/serve/control/control.ts';
import { callDaemon, type DaemonLink, linkTo, removeStaleSockets } from '../../../src/serve/control/control-client.ts';
import { isStopped } from '../../../src/serve/control/process-state.ts';
import { ownStateDirectory } from '../../../src/serve/mounts/state-directory.ts';

/** Of no mount: device numbers end at 2^20. */
const device = `9999999:${process.pid}`;

const status: DaemonStatus = {
  state: 'serving',
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

const ours = process.geteuid?.() ?? 0;
const soon = () => Deadline.after(50);
const later = () => Deadline.after(5000);

let directory: Directory;
let path: string;
beforeEach(() => {
  path = fs.mkdtempSync(join(tmpdir(), 'ckptfs-control-'));
  directory = Directory.open(path);
});
afterEach(() => {
  directory.close();
  fs.rmSync(path, { recursive: true });
});

const named = (name: string): ControlName => ({ directory, name, device: '0:57' });

function called(name: ControlName): DaemonLink {
  const call = callDaemon(name, ours);
  if (typeof call !== 'object') throw new Error(`nobody to call: ${call}`);
  return call;
}

async function listening(name: string, hear: (caller: net.Socket) => void = () => undefined): Promise<net.Server> {
  const server = net.createServer((caller) => hear(caller.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(join(path, name), resolve));
  return server;
}

test('a socket is named by its device and its daemon; other names are none, and there is a bound', () => {
  const first = join(path, '0:57-8.sock');
  for (const name of ['0:57', '0:57.sock', '0-1.sock', 'x:1-1.sock', '0:57-1.sock.new', '0:57-.sock', '0:57-8.sock']) {
    fs.writeFileSync(join(path, name), '');
  }
  expect(controlNames(directory)).toEqual([{ directory, name: '0:57-8.sock', device: '0:57' }]);
  for (let at = 1000; at < 1300; at++) fs.linkSync(first, join(path, `0:${at}-1.sock`));
  expect(controlNames(directory).length).toBeLessThanOrEqual(256);
});

test('nobody is called by way of a link, a directory, a file, or a mount', async () => {
  const server = await listening('s');
  fs.symlinkSync('s', join(path, 'link'));
  fs.mkdirSync(join(path, 'directory'));
  fs.writeFileSync(join(path, 'file'), '');
  fs.writeFileSync(join(path, 'mounted'), '');
  execFileSync('mount', ['--bind', join(path, 's'), join(path, 'mounted')]);
  try {
    called(named('s')).close();
    for (const name of ['link', 'directory', 'file', 'mounted']) {
      expect(callDaemon(named(name), ours), name).toBe('stranger');
    }
  } finally {
    execFileSync('umount', [join(path, 'mounted')]);
    server.close();
  }
});

test('only what the kernel says means that a daemon is dead', async () => {
  expect(callDaemon(named('gone'), ours)).toBe('dead');
  const server = await listening('s');
  fs.linkSync(join(path, 's'), join(path, 'left'));
  await new Promise((resolve) => server.close(resolve));
  expect(callDaemon(named('left'), ours)).toBe('dead');
});

test('a daemon that takes no more connections is silent', async () => {
  // It is stopped, and its queue is full.
  const script = `import socket,sys,time
s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(0); print("up",flush=True); time.sleep(60)`;
  const child = spawn('python3', ['-c', script, join(path, 's')], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const first = called(named('s'));
    expect(first.peer).toEqual({ pid: child.pid, uid: ours });
    const second = callDaemon(named('s'), ours);
    expect(second).toBe('silent');
    first.close();
  } finally {
    child.kill();
  }
});

test('who listens is who should be, or nothing is said to them', async () => {
  let wasHeard = false;
  const server = await listening('s', (caller) => caller.on('data', () => (wasHeard = true)));
  try {
    expect(callDaemon(named('s'), ours + 1)).toBe('stranger');
    const link = called(named('s'));
    expect(link.peer).toEqual({ pid: process.pid, uid: ours });
    link.close();
    await new Promise((resolve) => setImmediate(resolve));
    expect(wasHeard).toBe(false);
  } finally {
    server.close();
  }
});

test('a connection is closed when the kernel does not say who listens', () => {
  const fd = fs.openSync('/dev/null', 'r');
  expect(() => linkTo(fd, ours)).toThrow('ENOTSOCK');
  expect(() => fs.fstatSync(fd)).toThrow('EBADF');
});

test('what killed daemons of a device left is removed, and nothing else', async () => {
  const at = (name: string): string => join(path, name);
  const [living, dead] = [await listening('0:57-1.sock'), await listening('dead')];
  try {
    for (const name of ['0:57-2.sock', '0:57-3.sock', '0:58-2.sock']) fs.linkSync(at('dead'), at(name));
    fs.mkdirSync(at('0:57-4.sock'));
    await new Promise((resolve) => dead.close(resolve));
    removeStaleSockets(path, '0:57');
    expect(fs.readdirSync(path).sort()).toEqual(['0:57-1.sock', '0:57-4.sock', '0:58-2.sock']);
  } finally {
    living.close();
  }
});

describe('a daemon', () => {
  let socket: ControlSocket;
  let state: Directory;
  let name: ControlName;
  beforeEach(async () => {
    socket = await ControlSocket.open(device, () => status);
    state = Directory.open(ownStateDirectory());
    name = { directory: state, name: `${device}-${process.pid}.sock`, device };
  });
  afterEach(async () => {
    await socket.close();
    state.close();
  });

  test('answers its status, to several callers', async () => {
    const callers = [called(name), called(name)];
    for (const caller of callers) expect(await caller.status(later())).toEqual(status);
    for (const caller of callers) caller.close();
  });

  test('lets callers know when it ends', async () => {
    const caller = called(name);
    expect(await caller.ended(soon())).toBe(false);
    await socket.close();
    expect(await caller.ended(later())).toBe(true);
    expect(callDaemon(name, ours)).toBe('dead');
  });

  test('says what became of what was written, also to a caller that it has not taken yet', async () => {
    const caller = called(name);
    const error = { code: 'io', message: 'no room', data: { errno: 'ENOSPC' } } as const;
    const closing = socket.close({ event: 'unsealed', error });
    expect(await caller.ended(later())).toBe(true);
    await closing;
    expect(caller.lastEvent()).toEqual({ event: 'unsealed', error });
  });

  test('hangs up on who asks at length', async () => {
    const caller = net.connect(join(ownStateDirectory(), name.name));
    caller.on('error', () => undefined);
    caller.write('x'.repeat(100_000));
    await new Promise((resolve) => caller.once('close', resolve));
    const other = called(name);
    expect(await other.status(later())).toEqual(status);
    other.close();
  });

  test('can be reached by its user alone', () => {
    expect(fs.statSync(join(ownStateDirectory(), name.name)).mode & 0o777).toBe(0o600);
    expect(fs.statSync(ownStateDirectory()).mode & 0o777).toBe(0o700);
  });
});

describe('a socket that is being made', () => {
  let state: Directory;
  beforeEach(() => {
    state = Directory.open(ownStateDirectory());
  });
  afterEach(() => state.close());

  const own = (): string[] => fs.readdirSync(ownStateDirectory()).filter((name) => name.startsWith(device));
  const seen = (): ControlName[] => controlNames(state).filter((name) => name.device === device);

  test('has its name only when it listens, and can be called by it then', async () => {
    const opening = ControlSocket.open(device, () => status);
    expect(own()).toEqual([`${device}-${process.pid}.new`]);
    expect(seen()).toEqual([]);
    const socket = await opening;
    expect(own()).toEqual([`${device}-${process.pid}.sock`]);
    for (const name of seen()) called(name).close();
    await socket.close();
    expect(own()).toEqual([]);
  });

  test('takes the place of a draft that was left', async () => {
    fs.writeFileSync(join(ownStateDirectory(), `${device}-${process.pid}.new`), '');
    await (await ControlSocket.open(device, () => status)).close();
    expect(own()).toEqual([]);
  });

  test('replaces nothing, and leaves nothing when it cannot have its name', async () => {
    const taken = join(ownStateDirectory(), `${device}-${process.pid}.sock`);
    fs.writeFileSync(taken, 'precious');
    const before = fs.readdirSync('/proc/self/fd').length;
    try {
      await expect(ControlSocket.open(device, () => status)).rejects.toThrow('EEXIST');
      expect(own()).toEqual([`${device}-${process.pid}.sock`]);
      expect(fs.readFileSync(taken, 'utf8')).toBe('precious');
      await new Promise((resolve) => setImmediate(resolve));
      expect(fs.readdirSync('/proc/self/fd').length).toBe(before);
    } finally {
      fs.unlinkSync(taken);
    }
  });
});

describe('the deadline of an answer', () => {
  test('is kept, whatever the peer says in between', async () => {
    const server = await listening('s', (caller) => {
      const chatter = setInterval(() => caller.write('{"event":"sealing"}\n'), 10);
      caller.on('close', () => clearInterval(chatter));
    });
    const link = called(named('s'));
    const before = performance.now();
    expect(await link.status(Deadline.after(300))).toBeUndefined();
    expect(await link.ended(Deadline.after(300))).toBe(false);
    expect(performance.now() - before).toBeLessThan(3000);
    link.close();
    server.close();
  });

  test('does not lose an answer that comes late', async () => {
    let answer = (): void => undefined;
    const server = await listening('s', (caller) => {
      answer = () => void caller.write(`${JSON.stringify(status)}\n`);
    });
    const link = called(named('s'));
    expect(await link.status(soon())).toBeUndefined();
    answer();
    expect(await link.status(later())).toEqual(status);
    link.close();
    server.close();
  });

  test('is not waited for when the kernel keeps the peer from running', async () => {
    const script = `import socket,sys,time
s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(5); print("up",flush=True); time.sleep(60)`;
    const child = spawn('python3', ['-c', script, join(path, 's')], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await new Promise((resolve) => child.stdout.once('data', resolve));
      expect(isStopped(child.pid ?? 0)).toBe(false);
      child.kill('SIGSTOP');
      const link = called(named('s'));
      expect(await link.status(Deadline.after(60_000))).toBeUndefined();
      expect(isStopped(child.pid ?? 0)).toBe(true);
      link.close();
    } finally {
      child.kill('SIGKILL');
    }
  });

  test('ends what says more than any daemon', async () => {
    const server = await listening('s', (caller) => caller.write('x'.repeat(1 << 20)));
    const link = called(named('s'));
    expect(await link.status(later())).toBeUndefined();
    expect(await link.ended(later())).toBe(true);
    server.close();
  });
});

test.each([
  ['nothing', ''],
  ['no JSON', 'hello\n'],
  ['no object', '7\n'],
  ['a member of the wrong type', `${JSON.stringify({ ...status, workers: 'one' })}\n`],
  ['counters missing', `${JSON.stringify({ ...status, counters: {} })}\n`],
  ['no state', `${JSON.stringify({ ...status, state: 'asleep' })}\n`],
])('a socket that answers %s is not believed', async (_, answer) => {
  const server = await listening('s', (caller) => caller.end(answer));
  const link = called(named('s'));
  expect(await link.status(later())).toBeUndefined();
  link.close();
  server.close();
});

test.each([
  ['an error that is none', { event: 'unsealed', error: { code: 'io' } }],
  ['an unknown code', { event: 'unsealed', error: { code: 'x', message: 'y' } }],
  ['a path that is no text', { event: 'unsealed', error: { code: 'io', message: 'y', path: 7 } }],
  ['another event', { event: 'asleep' }],
])('a socket that announces %s announces nothing', async (_, event) => {
  const server = await listening('s', (caller) => caller.end(`${JSON.stringify(event)}\n`));
  const link = called(named('s'));
  expect(await link.ended(later())).toBe(true);
  expect(link.lastEvent()).toBeUndefined();
  link.close();
  server.close();
});
