import { afterEach, expect, test } from 'vitest';
import { Deadline } from '../../../src/base/deadline.ts';
import type { MountInfo } from '../../../src/fuse/mount/mountinfo.ts';
import { ControlSocket, type DaemonStatus } from '../../../src/serve/control/control.ts';
import { MountDaemon } from '../../../src/serve/control/mount-daemon.ts';
import { withStateDirectories } from '../../../src/serve/mounts/state-directory.ts';

/** Of no mount: device numbers end at 2^20. */
const device = `9999997:${process.pid}`;

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

const found: MountInfo = {
  id: 1,
  mountPoint: '/mnt/cr',
  device,
  fsType: 'fuse.ckptfs',
  source: '/enc',
  options: ['rw', `user_id=${process.geteuid?.()}`],
};

let socket: ControlSocket | undefined;
afterEach(() => socket?.close());

/** Whether a daemon that listens for the mount, and says this, is taken for the mount's. */
async function isFound(status: DaemonStatus): Promise<boolean> {
  socket = await ControlSocket.open(device, () => status);
  return withStateDirectories(async (directories) => {
    const daemon = await MountDaemon.find(directories, found, Deadline.after(5000));
    daemon?.close();
    return daemon?.hasAnswered === true;
  });
}

test('the daemon of a mount is the one that says that it serves its device', async () => {
  expect(await isFound(serving)).toBe(true);
});

test.each([
  ['serves another device', { ...serving, device: '9999997:1' }],
  ['seals for an earlier mount', { ...serving, state: 'sealing' as const }],
])('a daemon that %s is not the one of the mount', async (_, status) => {
  expect(await isFound(status)).toBe(false);
});
