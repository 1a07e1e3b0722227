// A writable mount that cannot be made leaves no file and no mount, and says that its mount point is bare.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ckptfsProgram } from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { describeIf } from './support/requirements.ts';
import { Terminal, type Transcript, withoutIds } from './support/transcript.ts';

let base: string;
let terminal: Terminal;
const at = (name: string): string => join(base, name);
const bare = 'Nothing is mounted on mnt: what is written there is not encrypted.';

beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-bare-')));
  terminal = new Terminal(base);
  fs.mkdirSync(at('mnt'));
  fs.mkdirSync(at('empty'));
});

afterEach(() => fs.rmSync(base, { recursive: true }));

/**
 * Runs a command in a mount namespace where another device is at /dev/fuse. @param device a line of bash that mounts it
 * there
 */
function withDevice(device: string, ...words: string[]): Transcript {
  const script = `${device} && exec "$@"`;
  const args = ['--mount', '--propagation', 'private', 'bash', '-c', script, 'bash', ckptfsProgram, ...words];
  const { status, stdout, stderr } = spawnSync('unshare', args, {
    cwd: base,
    env: terminal.environment,
    encoding: 'utf8',
    timeout: PATIENCE,
  });
  return { status, stdout: withoutIds(stdout), stderr: withoutIds(stderr) };
}

/** A device that cannot be opened, as without the kernel module or in a container. */
const closed =
  'mount -t tmpfs -o nodev tmpfs empty && mknod empty/fuse c 10 229 && mount --bind empty/fuse /dev/fuse && umount -l empty';
/** One that can be opened, but is no FUSE device: mount(2) fails when the image is there already. */
const wrong = 'mount --bind /dev/null /dev/fuse';

const keys = (): string[] => (fs.existsSync(at('config/ckptfs/keys')) ? fs.readdirSync(at('config/ckptfs/keys')) : []);

describeIf(['root', 'fuse', 'namespaces'], 'mount --write that cannot mount', () => {
  test('checks the device before it makes anything', () => {
    const result = withDevice(closed, 'mount', '--write', 'enc', 'mnt');
    expect(result).toMatchObject({ status: 33, stdout: '', stderr: expect.stringContaining('cannot open /dev/fuse') });
    expect(result.stderr.trimEnd().endsWith(bare)).toBe(true);
    expect(fs.readdirSync(base).sort()).toEqual(['empty', 'mnt']);
  });

  test.each([
    ['in the background', [], 'enc'],
    ['in the foreground', ['-f'], 'enc'],
    ['in a directory that was there', [], 'empty'],
  ])('removes the image and the key that it made, %s', (_, options, image) => {
    const result = withDevice(wrong, 'mount', '--write', image, 'mnt', ...options);
    expect(result).toMatchObject({ status: 30, stderr: expect.stringContaining('cannot mount on') });
    expect(result.stderr.includes(bare)).toBe(options.length === 0);
    expect(fs.readdirSync(base).sort()).toEqual(['config', 'empty', 'mnt']);
    expect(fs.readdirSync(at('empty'))).toEqual([]);
    expect(keys()).toEqual([]);
  });

  test('leaves an existing image and a given key unchanged', () => {
    terminal.run('keygen', '-o', 'key');
    fs.mkdirSync(at('source'));
    fs.writeFileSync(at('source/a'), 'content');
    terminal.run('encrypt', 'source', 'enc', '-k', 'key');
    expect(withDevice(wrong, 'mount', '--write', 'enc', 'mnt', '-k', 'key')).toMatchObject({ status: 30 });
    expect(terminal.run('cat', 'enc', 'a', '-k', 'key')).toMatchObject({ status: 0, stdout: 'content' });
    expect(withDevice(wrong, 'mount', '--write', 'new', 'mnt', '-k', 'key')).toMatchObject({ status: 30 });
    expect(fs.existsSync(at('new'))).toBe(false);
    expect(fs.existsSync(at('key'))).toBe(true);
  });
});
