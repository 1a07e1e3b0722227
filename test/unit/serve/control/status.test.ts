import { expect, test } from 'vitest';
import { listMounts, type MountStatus } from '../../../../src/serve/control/status.ts';
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
