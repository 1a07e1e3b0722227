import { expect, test, vi } from 'vitest';
import { startDaemonEarly } from '../../../src/cli/early-daemon.ts';
import { DaemonProcess } from '../../../src/serve/launch/daemon-process.ts';

// Goal: `mount` gets its daemon early, and no other command line costs a process.
// Method: the one function that starts a process is replaced, and the words that it is given are looked at.

test.each([
  ['mount enc mnt', true],
  ['mount enc mnt -k k --write', true],
  ['-q mount enc mnt', true],
  ['mount enc mnt -f', false],
  ['mount enc mnt -qf', false],
  ['mount enc mnt --foreground', false],
  ['mount --help', false],
  ['mount -V', false],
  ['umount mnt', false],
  ['exec enc -- mount', false],
  ['--get-yargs-completions ckptfs mount', false],
  ['help mount', true],
  ['', false],
])('%j starts a daemon: %s', async (line, isStarted) => {
  const started = {} as DaemonProcess;
  const start = vi.spyOn(DaemonProcess, 'start').mockReturnValue(started);
  const words = line.split(' ');
  expect(await startDaemonEarly(words)).toBe(isStarted ? started : undefined);
  expect(start.mock.calls).toEqual(isStarted ? [[words]] : []);
  start.mockRestore();
});
