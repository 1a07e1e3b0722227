import fs from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Deadline } from '../../../../src/base/deadline.ts';
import { Directory } from '../../../../src/base/linux/directory.ts';
import { callDaemon } from '../../../../src/serve/control/control-client.ts';
import { STATUS_QUESTION } from '../../../../src/serve/control/control-messages.ts';
import { type ControlName, controlNames } from '../../../../src/serve/control/control-names.ts';
import { ControlSocket } from '../../../../src/serve/daemon/control-socket.ts';
import { ownStateDirectory } from '../../../../src/serve/mounts/state-directory.ts';
import { called, OWN_USER, servingStatus } from '../../../support/control-sockets.ts';

/** No mount has this device number: they end at 2^20. */
const device = `9999999:${process.pid}`;
const status = servingStatus(device);
const later = () => Deadline.after(5000);

let state: Directory;
beforeEach(() => {
  state = Directory.open(ownStateDirectory());
});
afterEach(() => state.close());

describe('a daemon', () => {
  let socket: ControlSocket;
  let name: ControlName;
  beforeEach(async () => {
    socket = await ControlSocket.open(device, () => status);
    name = { directory: state, name: `${device}-${process.pid}.sock`, device };
  });
  afterEach(() => socket.close());

  test('answers its status, to several callers', async () => {
    const callers = [called(name), called(name)];
    for (const caller of callers) expect(await caller.status(later())).toEqual(status);
    for (const caller of callers) caller.close();
  });

  test('lets callers know when it ends', async () => {
    const caller = called(name);
    expect(await caller.ended(Deadline.after(50))).toBe(false);
    await socket.close();
    expect(await caller.ended(later())).toBe(true);
    expect(callDaemon(name, OWN_USER)).toBe('dead');
  });

  test('announces whether the image was sealed, also to a caller that it has not accepted yet', async () => {
    const caller = called(name);
    const error = { code: 'io', message: 'no room', data: { errno: 'ENOSPC' } } as const;
    const closing = socket.close({ event: 'unsealed', error });
    expect(await caller.ended(later())).toBe(true);
    await closing;
    expect(caller.lastEvent()).toEqual({ event: 'unsealed', error });
  });

  test('goes on when callers cannot be accepted', async () => {
    const create = vi.spyOn(net, 'createServer');
    const other = await ControlSocket.open(`${device}0`, () => status);
    const server = create.mock.results[0]?.value as net.Server;
    create.mockRestore();
    for (let times = 0; times < 3; times++) server.emit('error', new Error('accept EMFILE'));
    await other.close();
  });

  test('hangs up on a caller that asks and never reads', async () => {
    const caller = net.connect({ path: join(ownStateDirectory(), name.name), allowHalfOpen: true });
    caller.on('error', () => undefined);
    caller.pause();
    const closed = new Promise((resolve) => caller.once('close', resolve));
    // Each question goes by itself: several in one piece are refused anyway.
    while (!caller.destroyed) {
      await new Promise<void>((resolve) => caller.write(STATUS_QUESTION, () => setImmediate(resolve)));
    }
    await closed;
    const other = called(name);
    expect(await other.status(later())).toEqual(status);
    other.close();
  });

  test('hangs up on a caller that asks too much', async () => {
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
  const own = (): string[] => fs.readdirSync(ownStateDirectory()).filter((name) => name.startsWith(device));
  const seen = (): ControlName[] => controlNames(state).filter((name) => name.device === device);

  test('gets its name only when it listens, so that it can always be called by it', async () => {
    const opening = ControlSocket.open(device, () => status);
    expect(own()).toEqual([`${device}-${process.pid}.new`]);
    expect(seen()).toEqual([]);
    const socket = await opening;
    expect(own()).toEqual([`${device}-${process.pid}.sock`]);
    for (const name of seen()) called(name).close();
    await socket.close();
    expect(own()).toEqual([]);
  });

  test('replaces a draft that a killed daemon has left', async () => {
    fs.writeFileSync(join(ownStateDirectory(), `${device}-${process.pid}.new`), '');
    await (await ControlSocket.open(device, () => status)).close();
    expect(own()).toEqual([]);
  });

  test('replaces nothing else, and leaves nothing when its name is taken', async () => {
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
