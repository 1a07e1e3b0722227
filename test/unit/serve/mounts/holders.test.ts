import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { MountInfo } from '../../../../src/fuse/mount/mountinfo.ts';
import { describeHolders, holdersOf } from '../../../../src/serve/mounts/holders.ts';

const directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-holders-'));
fs.mkdirSync(join(directory, 'in'));
fs.mkdirSync(join(directory, 'in-not'));
fs.writeFileSync(join(directory, 'in', 'file'), 'x');
const children: ChildProcess[] = [];
afterAll(() => {
  for (const child of children) child.kill();
  fs.rmSync(directory, { recursive: true });
});

/** A directory that is used like a mount: holders are found by its path, and no mapping has its device. */
const place: MountInfo = {
  id: 1,
  mountPoint: join(directory, 'in'),
  device: '4095:1',
  fsType: 'fuse.ckptfs',
  source: 'x',
  options: [],
};

async function start(options: { cwd?: string; file?: string }): Promise<number> {
  const fd = options.file === undefined ? 'ignore' : fs.openSync(options.file, 'r');
  const child = spawn('sleep', ['60'], { cwd: options.cwd, stdio: ['ignore', 'ignore', 'ignore', fd] });
  children.push(child);
  await new Promise((resolve) => child.once('spawn', resolve));
  if (typeof fd === 'number') fs.closeSync(fd);
  return child.pid ?? 0;
}

test('a process is named if it is in the mount or has a file of it open', async () => {
  expect(holdersOf(place)).toEqual([]);
  expect(await describeHolders(place)).toBe('');
  const inside = await start({ cwd: place.mountPoint });
  const reading = await start({ cwd: '/', file: join(place.mountPoint, 'file') });
  await start({ cwd: join(directory, 'in-not') });
  expect(holdersOf(place).sort((a, b) => a.pid - b.pid)).toEqual(
    [inside, reading].sort((a, b) => a - b).map((pid) => ({ pid, command: 'sleep' })),
  );
  expect(await describeHolders(place)).toContain(`sleep (pid ${inside})`);
});

test('a mount below the mount is named', async () => {
  const root: MountInfo = { ...place, mountPoint: '/' };
  expect(await describeHolders(root)).toContain('a mount on /proc');
});
