import { afterEach, expect, test } from 'vitest';
import { Deadline } from '../../../../src/base/deadline.ts';
import type { MountInfo } from '../../../../src/fuse/mount/mountinfo.ts';
import type { DaemonStatus } from '../../../../src/serve/control/control-messages.ts';
import { MountDaemon } from '../../../../src/serve/control/mount-daemon.ts';
import { ControlSocket } from '../../../../src/serve/daemon/control-socket.ts';
import { withStateDirectories } from '../../../../src/serve/mounts/state-directory.ts';
import { OWN_USER, servingStatus } from '../../../support/control-sockets.ts';

/** No mount has this device number: they end at 2^20. */
const device = `9999997:${process.pid}`;
const serving = servingStatus(device);

const found: MountInfo = {
  id: 1,
  mountPoint: serving.mountPoint,
  device,
  fsType: 'fuse.ckptfs',
  source: '/enc',
  options: ['rw', `user_id=${OWN_USER}`],
};

let socket: ControlSocket | undefined;
afterEach(() => socket?.close());

/** Returns whether a daemon that listens for the mount and answers with `status` is taken for the mount's. */
async function isFound(status: DaemonStatus): Promise<boolean> {
  socket = await ControlSocket.open(device, () => status);
  return withStateDirectories(async (directories) => {
    const daemon = await MountDaemon.find(directories, found, Deadline.after(5000));
    daemon?.close();
    return daemon?.hasAnswered === true;
  });
}

test('the daemon of a mount is the one that answers that it serves the device of the mount', async () => {
  expect(await isFound(serving)).toBe(true);
});

test.each([
  ['serves another device', { ...serving, device: '9999997:1' }],
  ['seals for an earlier mount', { ...serving, state: 'sealing' as const }],
])('a daemon that %s is not the one of the mount', async (_, status) => {
  expect(await isFound(status)).toBe(false);
});
