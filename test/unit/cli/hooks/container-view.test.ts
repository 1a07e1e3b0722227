import { expect, test } from 'vitest';
import { checkSeen, isSeen } from '../../../../src/cli/hooks/container-view.ts';
import { parseMountInfo } from '../../../../src/fuse/mount/mountinfo.ts';

const line = (device: string, mountPoint: string) => `1 1 ${device} / ${mountPoint} rw - fuse.ckptfs container:c rw\n`;
const ours = parseMountInfo(line('0:8', '/vol') + line('0:9', '/vol'));

test.each([
  ['bound into the container', line('0:9', '/bundle/rootfs/data'), true],
  ['only where the host has it', line('0:9', '/vol'), false],
  ['what it covers', line('0:8', '/bundle/rootfs/data'), false],
  ['nothing', '', false],
])('a container that has %s', (_, theirs, isTrue) => {
  expect(isSeen('/vol', ours, parseMountInfo(theirs))).toBe(isTrue);
});

test('a mount that is not there is not seen', () => {
  expect(isSeen('/other', ours, ours)).toBe(false);
});

test('a container that is restored is not looked at', () => {
  checkSeen('/', { id: 'c', status: 'stopped', pid: process.pid });
  checkSeen('/', { id: 'c', status: 'stopped', pid: undefined });
});

test('one that is made, and of which nothing can be seen, is refused', () => {
  expect(() => checkSeen('/vol', { id: 'c', status: 'creating', pid: undefined })).toThrow(
    /names no process, so nothing shows whether it sees \/vol/,
  );
});

test('a container that has ended is an error', () => {
  // The greatest pid that a container may have is above the kernel's limit, which is exclusive.
  expect(() => checkSeen('/', { id: 'c', status: 'creating', pid: 2 ** 22 })).toThrow(/cannot read \/proc\/4194304/);
});
