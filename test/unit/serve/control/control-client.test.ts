import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Deadline } from '../../../../src/base/deadline.ts';
import { Directory } from '../../../../src/base/linux/directory.ts';
import { callDaemon, linkTo, removeStaleSockets } from '../../../../src/serve/control/control-client.ts';
import type { ControlName } from '../../../../src/serve/control/control-names.ts';
import { isStopped } from '../../../../src/serve/control/process-state.ts';
import { called, OWN_USER, servingStatus } from '../../../support/control-sockets.ts';

const status = servingStatus('0:57');
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

async function listening(name: string, onCaller: (caller: net.Socket) => void = () => undefined): Promise<net.Server> {
  const server = net.createServer((caller) => onCaller(caller.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(join(path, name), resolve));
  return server;
}

/** Starts a process that listens at a socket and accepts no connection. */
async function listeningProcess(name: string, backlog: number): Promise<ChildProcess> {
  const script = `import socket,sys,time
s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(int(sys.argv[2])); print("up",flush=True); time.sleep(60)`;
  const args = ['-c', script, join(path, name), String(backlog)];
  const child = spawn('python3', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return child;
}

test('a link, a directory, a file or a mount is not called', async () => {
  const server = await listening('s');
  fs.symlinkSync('s', join(path, 'link'));
  fs.mkdirSync(join(path, 'directory'));
  fs.writeFileSync(join(path, 'file'), '');
  fs.writeFileSync(join(path, 'mounted'), '');
  execFileSync('mount', ['--bind', join(path, 's'), join(path, 'mounted')]);
  try {
    called(named('s')).close();
    for (const name of ['link', 'directory', 'file', 'mounted']) {
      expect(callDaemon(named(name), OWN_USER), name).toBe('stranger');
    }
  } finally {
    execFileSync('umount', [join(path, 'mounted')]);
    server.close();
  }
});

test('a daemon is dead only when the kernel says that nothing listens', async () => {
  expect(callDaemon(named('gone'), OWN_USER)).toBe('dead');
  const server = await listening('s');
  fs.linkSync(join(path, 's'), join(path, 'left'));
  await new Promise((resolve) => server.close(resolve));
  expect(callDaemon(named('left'), OWN_USER)).toBe('dead');
});

test('a daemon whose queue of connections is full is silent', async () => {
  const child = await listeningProcess('s', 0);
  try {
    const first = called(named('s'));
    expect(first.peer).toEqual({ pid: child.pid, uid: OWN_USER });
    const second = callDaemon(named('s'), OWN_USER);
    expect(second).toBe('silent');
    first.close();
  } finally {
    child.kill();
  }
});

test('nothing is sent to a process of another user', async () => {
  let gotData = false;
  const server = await listening('s', (caller) => caller.on('data', () => (gotData = true)));
  try {
    expect(callDaemon(named('s'), OWN_USER + 1)).toBe('stranger');
    const link = called(named('s'));
    expect(link.peer).toEqual({ pid: process.pid, uid: OWN_USER });
    link.close();
    await new Promise((resolve) => setImmediate(resolve));
    expect(gotData).toBe(false);
  } finally {
    server.close();
  }
});

test('a connection is closed when the kernel does not say which process listens', () => {
  const fd = fs.openSync('/dev/null', 'r');
  expect(() => linkTo(fd, OWN_USER)).toThrow('ENOTSOCK');
  expect(() => fs.fstatSync(fd)).toThrow('EBADF');
});

test('the sockets that killed daemons of a device left are removed, and nothing else', async () => {
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

describe('the deadline of an answer', () => {
  test('holds, whatever the peer sends in between', async () => {
    const server = await listening('s', (caller) => {
      const chatter = setInterval(() => caller.write('{"event":"sealing"}\n'), 10);
      caller.on('close', () => clearInterval(chatter));
    });
    const link = called(named('s'));
    // If what the peer sends counted, neither would ever end.
    expect(await link.status(Deadline.after(300))).toBeUndefined();
    expect(await link.ended(Deadline.after(300))).toBe(false);
    link.close();
    server.close();
  });

  test('does not lose an answer that comes after it', async () => {
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

  test('is not waited for when the peer is stopped', async () => {
    const child = await listeningProcess('s', 5);
    try {
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

  test('is not waited for when the peer has sent more than a daemon ever sends', async () => {
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
  ['no counters', `${JSON.stringify({ ...status, counters: {} })}\n`],
  ['an unknown state', `${JSON.stringify({ ...status, state: 'asleep' })}\n`],
])('an answer with %s is ignored', async (_, answer) => {
  const server = await listening('s', (caller) => caller.end(answer));
  const link = called(named('s'));
  expect(await link.status(later())).toBeUndefined();
  link.close();
  server.close();
});

test.each([
  ['an incomplete error', { event: 'unsealed', error: { code: 'io' } }],
  ['an unknown code', { event: 'unsealed', error: { code: 'x', message: 'y' } }],
  ['a path that is not a string', { event: 'unsealed', error: { code: 'io', message: 'y', path: 7 } }],
  ['an unknown event', { event: 'asleep' }],
])('an announcement with %s is ignored', async (_, event) => {
  const server = await listening('s', (caller) => caller.end(`${JSON.stringify(event)}\n`));
  const link = called(named('s'));
  expect(await link.ended(later())).toBe(true);
  expect(link.lastEvent()).toBeUndefined();
  link.close();
  server.close();
});
