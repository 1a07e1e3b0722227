// Goal: a writable mount answers system calls as a file system must.
// Method: programs write into a file system in memory through a real mount; no operation may end in a fault.
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { Opcode } from '../../src/fuse/protocol/abi.ts';
import type { PatternDaemon } from './support/pattern-daemon.ts';
import {
  checkWriting,
  clearMounts,
  makeMountPoint,
  mount,
  mountPoint,
  nobody,
  rootNeeds,
} from './support/pattern-mounts.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest } from './support/requirements.ts';

beforeEach(makeMountPoint);
afterEach(clearMounts);

const files = [
  'opening',
  'writing',
  'appending',
  'truncating',
  'mapping',
  'direct',
  'copying',
  'allocating',
  'unlinked',
  'forgotten',
  'locking',
  'failing',
  'full',
];
const names = [
  'names',
  'missing_names',
  'renaming',
  'changing_listings',
  'seeking_listings',
  'attributes',
  'privileges',
  'permissions',
  'extended',
  'handles',
  'database',
];

function mountMemory(options: Readonly<Record<string, unknown>> = {}): Promise<PatternDaemon> {
  return mount(mountPoint, { fileSystem: 'memory', options });
}

/** Runs checks on one mount, each in a directory of its own. No operation may have been a fault. */
async function checked(file: string, names: readonly string[], options: Readonly<Record<string, unknown>> = {}) {
  const daemon = await mountMemory(options);
  const faults = () => daemon.messages.filter((message) => message.fault !== undefined);
  for (const name of names) {
    mkdirSync(join(mountPoint, name));
    checkWriting(file, name, join(mountPoint, name));
    expect([name, faults()]).toEqual([name, []]);
  }
  await daemon.unmount();
  expect(faults()).toEqual([]);
}

describeIf(rootNeeds, 'a mount that can be written', () => {
  systemTest([], 'contents', () => checked('write_checks.py', files));
  systemTest([], 'names', () => checked('name_checks.py', names));
  systemTest([], 'does what a tmpfs does', () => checked('twin_checks.py', ['twins']));

  const uncached = { onlyUid: nobody };
  systemTest([], 'contents, serving one user only', () =>
    checked('write_checks.py', ['writing', 'mapping', 'unlinked'], uncached),
  );
  systemTest([], 'names, serving one user only', () =>
    checked('name_checks.py', ['missing_names', 'renaming', 'changing_listings'], uncached),
  );

  systemTest([], 'serving one user only refuses others, but not what was written to a mapping', async () => {
    const daemon = await mountMemory(uncached);
    writeFileSync(join(mountPoint, 'a'), 'content', { mode: 0o666 });
    const other = ['--reuid=1', '--regid=1', '--clear-groups'];
    expect(() => runProgram('setpriv', ...other, 'sh', '-c', `echo x > ${mountPoint}/a`)).toThrow(
      /exited with 2: .*Permission denied/,
    );
    checkWriting('write_checks.py', 'mapping', mountPoint);
    await daemon.unmount();
  });

  systemTest([], 'the kernel asks for nothing that it knows', async () => {
    const daemon = await mountMemory();
    const path = join(mountPoint, 'a');
    const block = Buffer.alloc(1 << 20, 7);
    const fd = openSync(path, 'w+');
    for (let at = 0; at < 16; at++) writeSync(fd, block, 0, block.length, at * block.length);
    for (let at = 0; at < 100; at++) writeSync(fd, block, 0, 4096, at * 4096);
    expect(await daemon.requests(Opcode.FUSE_WRITE)).toBe(16 + 100);
    fsyncSync(fd);
    closeSync(fd);
    for (let round = 0; round < 10; round++) {
      closeSync(openSync(path, 'r'));
      expect(statSync(path).size).toBe(16 << 20);
      expect(existsSync(join(mountPoint, 'missing'))).toBe(false);
      expect(readdirSync(mountPoint)).toEqual(['a']);
    }
    const asked = {
      // The name and the missing one.
      [Opcode.FUSE_LOOKUP]: 2,
      [Opcode.FUSE_CREATE]: 1,
      [Opcode.FUSE_OPEN]: 1,
      [Opcode.FUSE_OPENDIR]: 1,
      [Opcode.FUSE_FSYNC]: 1,
      [Opcode.FUSE_FLUSH]: 11,
      [Opcode.FUSE_READ]: 0,
      [Opcode.FUSE_RELEASEDIR]: 0,
    };
    for (const [opcode, count] of Object.entries(asked))
      expect([opcode, await daemon.requests(Number(opcode))]).toEqual([opcode, count]);
    // Capabilities are asked for once, not before every write.
    expect(await daemon.requests(Opcode.FUSE_GETXATTR)).toBeLessThanOrEqual(2);
    expect(await daemon.requests(Opcode.FUSE_GETATTR)).toBeLessThanOrEqual(4);
    await daemon.unmount();
  });
});
