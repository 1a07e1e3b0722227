import { expect, test } from 'vitest';
import { ControlSocket, type DaemonStatus } from '../../../src/serve/control/control.ts';
import { listMounts, type MountStatus } from '../../../src/serve/control/status.ts';

/** Of no mount: device numbers end at 2^20. */
const device = `9999998:${process.pid}`;

const serving: DaemonStatus = {
  state: 'serving',
  mountPoint: '/mnt/cr',
  device,
  location: '/enc',
  imageId: '00'.repeat(16),
  transport: 'kernel',
  workers: 1,
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

async function listed(): Promise<MountStatus[]> {
  return (await listMounts()).filter((mount) => mount.device === device);
}

test('a daemon without a mount serves elsewhere, or seals what was written', async () => {
  let status = serving;
  const socket = await ControlSocket.open(device, () => status);
  try {
    const common = { mountPoint: '/mnt/cr', device, scratch: false, source: '/enc', pid: process.pid };
    expect(await listed()).toEqual([{ state: 'elsewhere', ...common, daemon: serving }]);
    status = { ...serving, state: 'sealing' };
    expect(await listed()).toEqual([{ state: 'sealing', ...common, daemon: status }]);
  } finally {
    await socket.close();
  }
  expect(await listed()).toEqual([]);
});
