import { describe, expect, test } from 'vitest';
import { checkServed, listMounts, type MountState, type MountStatus } from '../../../../src/serve/control/status.ts';
import { ControlSocket } from '../../../../src/serve/daemon/control-socket.ts';
import { servingStatus } from '../../../support/control-sockets.ts';

/** No mount has this device number: they end at 2^20. */
const device = `9999998:${process.pid}`;

async function listed(): Promise<MountStatus[]> {
  return (await listMounts()).filter((mount) => mount.device === device);
}

test('a daemon without a mount here serves elsewhere, or seals its image', async () => {
  const serving = servingStatus(device);
  let status = serving;
  const socket = await ControlSocket.open(device, () => status);
  try {
    const { mountPoint } = serving;
    const common = { mountPoint, device, scratch: false, source: '/enc', pid: process.pid };
    expect(await listed()).toEqual([{ state: 'elsewhere', ...common, daemon: serving }]);
    status = { ...serving, state: 'sealing' };
    expect(await listed()).toEqual([{ state: 'sealing', ...common, daemon: status }]);
  } finally {
    await socket.close();
  }
  expect(await listed()).toEqual([]);
});

describe('a check that mounts are served', () => {
  const mountIn = (state: MountState): MountStatus => ({
    state,
    mountPoint: '/mnt',
    device: '0:99',
    scratch: false,
    source: '/enc',
    pid: null,
    daemon: undefined,
  });
  const check = (...states: readonly MountState[]) => checkServed(states.map(mountIn), 'nothing is mounted');

  test('passes where a daemon answers for each, whatever was unmounted before', () => {
    check('serving');
    check('serving', 'serving', 'elsewhere', 'sealing');
  });

  test.each<[string, RegExp, readonly MountState[]]>([
    ['not-mounted', /^nothing is mounted$/, []],
    ['not-mounted', /^nothing is mounted$/, ['elsewhere', 'sealing']],
    ['not-mounted', /its daemon was killed$/, ['serving', 'dead']],
    ['not-mounted', /not a mount of this user$/, ['serving', 'unknown']],
    ['no-answer', /the mount of \/enc on \/mnt does not answer$/, ['serving', 'silent']],
  ])('fails with %s: %s', (code, message, states) => {
    expect(() => check(...states)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });
});
