// Goal: text that an attacker put on the storage neither acts on a terminal nor forges a line.
// Method: such bytes are in names, paths and locks; all that the real commands then print and log is searched.
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { firstOutput, kill } from './support/children.ts';
import { ckptfs, runCkptfs } from './support/ckptfs.ts';
import { clear, type Encrypted, isAlive, mountNew, mountOn, until } from './support/mounts.ts';
import { describeIf, systemTest } from './support/requirements.ts';

/** Escape sequences in C0 and C1 form, a forged line, a bidi override, a carriage return, bytes that are no UTF-8. */
const hostile = Buffer.concat([
  Buffer.from('\x1b]0;owned\x07\x1b[2J\rckptfs: sealed \u009b31m \u202e txt \u2028'),
  Buffer.from([0xff, 0x80]),
]);
/** Whatever of it could act, as text or as bytes. */
const acting = /[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}\ufffd]/u;
const shown = '\\x1b]0;owned\\x07\\x1b[2J\\rckptfs: sealed \\u{009b}31m \\u{202e} txt \\u{2028}\\xff\\x80';

describeIf(['root', 'fuse'], 'text that an attacker put on the storage', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-hostile-text-')));
  const mountPoint = join(base, 'mnt');
  let encrypted: Encrypted;
  let holder: ChildProcess | undefined;

  beforeAll(async () => {
    const [made, { pid }] = mountNew(base, mountPoint);
    encrypted = made;
    fs.writeFileSync(join(mountPoint, 'file'), 'x');
    // Unsealed, as seal and recover want it.
    process.kill(pid, 'SIGKILL');
    await until('the daemon is dead', () => !isAlive(pid));
    clear(mountPoint);
  });
  afterEach(async () => {
    if (holder !== undefined) await kill(holder);
    holder = undefined;
    clear(mountPoint);
  });
  afterAll(() => fs.rmSync(base, { recursive: true }));

  /** Holds the image's lock as a writer does, with a line of its own in it. */
  async function holdLock(line: Uint8Array): Promise<void> {
    const lock = join(encrypted.image, 'lock');
    fs.writeFileSync(lock, line);
    holder = spawn('flock', ['--no-fork', lock, 'sh', '-c', 'echo held; exec sleep 60'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await firstOutput(holder);
  }

  systemTest([], 'in the lock of an image is shown escaped by every command, and in the log', async () => {
    await holdLock(Buffer.concat([hostile, Buffer.from('\nsecond line')]));
    const { image, keyFile } = encrypted;
    const log = `${image}.log`;
    const commands = [
      ['mount', '--foreground', '--write', image, mountPoint],
      ['mount', '--write', image, mountPoint, '--log-file', log],
      ['seal', image],
      ['seal', image, '--debug'],
      ['recover', image],
    ];
    for (const command of commands) {
      const { status, stdout, stderr } = runCkptfs(...command, '--key-file', keyFile);
      expect(status, command.join(' ')).toBe(27);
      expect(stderr).toContain(`is being written by ${shown}`);
      expect(stderr).not.toContain('second line');
      expect(stdout + stderr).not.toMatch(acting);
    }
    const logged = fs.readFileSync(log, 'utf8');
    expect(logged).toContain(`is being written by ${shown}`);
    expect(logged).not.toMatch(acting);
  });

  systemTest([], 'of any length in the lock of an image does not hide the message', async () => {
    await holdLock(Buffer.alloc(1 << 20, '\x1b[8m'));
    const { status, stderr } = runCkptfs('seal', encrypted.image, '--key-file', encrypted.keyFile);
    expect(status).toBe(27);
    expect(stderr.length).toBeLessThan(1500);
    expect(stderr).toContain('An image has one writer at a time');
  });

  systemTest([], 'in names of files is shown escaped in lists, in JSON, and in the log', () => {
    fs.rmSync(join(encrypted.image, 'lock'), { force: true });
    const mounted = mountOn(mountPoint, encrypted, '--write');
    const name = Buffer.from(hostile.map((byte) => (byte === 0x2f ? 0x2e : byte)));
    fs.writeFileSync(Buffer.concat([Buffer.from(`${mountPoint}/`), name]), Buffer.alloc(1 << 20, 7));
    ckptfs('umount', mountPoint);
    const { image, keyFile } = encrypted;
    const list = ckptfs('ls', image, '--key-file', keyFile);
    expect(list).toContain(shown.replaceAll('/', '.'));
    expect(list).not.toMatch(acting);
    const json = ckptfs('ls', image, '--key-file', keyFile, '--json');
    const [, c1] = /sealed (\S+)31m/.exec(json) ?? [];
    expect(c1).toBe('\\u009b');
    expect(json.replaceAll('\ufffd', '')).not.toMatch(acting);
    const files = JSON.parse(json) as { name: string; nameBase64?: string }[];
    expect(files.map(({ nameBase64 }) => nameBase64)).toContain(name.toString('base64'));

    for (const object of fs.readdirSync(join(image, 'objects'), { recursive: true, encoding: 'utf8' })) {
      const path = join(image, 'objects', object);
      if (fs.statSync(path).size > 1 << 20) damage(path);
    }
    mountOn(mountPoint, encrypted);
    expect(() => fs.readFileSync(Buffer.concat([Buffer.from(`${mountPoint}/`), name]))).toThrow('EIO');
    ckptfs('umount', mountPoint);
    const log = fs.readFileSync(mounted.logFile, 'utf8');
    expect(log).toContain(`cannot read "${shown}"`);
    expect(log).not.toMatch(acting);
    const verified = runCkptfs('verify', image, '--key-file', keyFile);
    expect(verified.status).toBe(23);
    expect(verified.stdout).toContain(shown);
    expect(verified.stdout + verified.stderr).not.toMatch(acting);
  });

  systemTest([], 'in the path of an image and of a mount point is shown escaped by status', () => {
    const place = join(base, 'odd \x1b[2J \u202e');
    mountOn(place, encrypted);
    try {
      const table = ckptfs('status');
      expect(table).toContain('odd \\x1b[2J \\u{202e}');
      expect(table).not.toMatch(acting);
      expect(ckptfs('status', '--json')).not.toMatch(acting);
    } finally {
      ckptfs('umount', place);
    }
  });
});

function damage(path: string): void {
  const bytes = fs.readFileSync(path);
  bytes[100_000] = (bytes[100_000] ?? 0) ^ 1;
  fs.writeFileSync(path, bytes);
}
