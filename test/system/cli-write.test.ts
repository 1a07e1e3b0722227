// Goal: a user can make, write, seal and recover an image by commands alone.
// Method: the real commands and mounts, with writers that end well, are killed, or lose what was not on the disk.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { kill } from './support/children.ts';
import { ckptfsProgram, clear, isAlive, until } from './support/mounts.ts';
import { describeIf } from './support/requirements.ts';
import { failure, success, Terminal, type Transcript } from './support/transcript.ts';

const helper = fileURLToPath(new URL('../../scripts/mount.fuse.ckptfs', import.meta.url));
const key = ['-k', 'key'];

let base: string;
let terminal: Terminal;
const at = (name: string): string => join(base, name);
const run = (...words: string[]): Transcript => terminal.runWithoutIds(...words);

beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-cli-write-')));
  terminal = new Terminal(base);
  fs.mkdirSync(at('mnt'));
  terminal.run('keygen', '-o', 'key');
});

afterEach(() => {
  clear(at('mnt'));
  fs.rmSync(base, { recursive: true });
});

interface Listed {
  readonly mountPoint: string;
  readonly state: string;
  readonly pid: number;
  readonly daemon: { readonly write: boolean; readonly workers: number };
}

function listed(): Listed {
  const mounts = JSON.parse(terminal.run('status', '--json').stdout) as Listed[];
  const found = mounts.find(({ mountPoint }) => mountPoint === at('mnt'));
  if (found === undefined) throw new Error('it is not listed');
  return found;
}

/** An image that a writer left who was killed, with a file that it had closed. */
async function leaveUnsealed(): Promise<void> {
  expect(run('mount', '--write', 'enc', 'mnt', ...key, '-q')).toEqual(success());
  fs.writeFileSync(at('mnt/kept'), 'kept');
  const { pid } = listed();
  process.kill(pid, 'SIGKILL');
  await until('the daemon is dead', () => !isAlive(pid));
  clear(at('mnt'));
}

/** Damages what was written last, as a loss of power does that comes before it is on the disk. */
function losePower(): void {
  const names = fs.readdirSync(at('enc/objects'), { recursive: true, encoding: 'utf8' });
  const [object = ''] = names.filter((name) => name.length > 3);
  const fd = fs.openSync(at(`enc/objects/${object}`), 'r+');
  fs.writeSync(fd, Buffer.alloc(4096), 0, 4096, 8192);
  fs.closeSync(fd);
}

const notSealed =
  'enc is not sealed: it is being written, or writing it was interrupted. Unmount it where it is being written; after a crash run ' +
  '"ckptfs seal", or "ckptfs recover" if that refuses.';

describeIf(['root', 'fuse'], 'mount --write', () => {
  test('makes an image and reports it, and umount seals it', () => {
    expect(run('mount', '--write', 'enc', 'mnt', ...key)).toEqual(success('image ID: new, aes-256-xts, in enc\n'));
    expect(fs.statSync(at('mnt')).mode & 0o777).toBe(0o755);
    fs.writeFileSync(at('mnt/a'), 'content');
    expect(listed()).toMatchObject({ state: 'serving', daemon: { write: true, workers: 1 } });
    expect(run('umount', 'mnt')).toEqual(success());
    expect(run('cat', 'enc', 'a', ...key)).toEqual(success('content'));
    expect(fs.readdirSync(at('enc')).sort()).toEqual(['ckptfs.json', 'manifest', 'objects']);
  });

  test('makes a key where none is given, as encrypt does, also with another cipher, --json and --quiet', () => {
    fs.mkdirSync(at('enc'));
    const made = terminal.run('mount', '-w', '--cipher', 'chacha20-poly1305', '--chunk-size', '4K', 'enc', 'mnt');
    const [, id] = /^image ([0-9a-f]{32}): new, chacha20-poly1305, in enc\n/.exec(made.stdout) ?? [];
    const keyFile = at(`config/ckptfs/keys/${id}.key`);
    expect(made.stdout.split('\n')[1]).toBe(`key made: ${keyFile} (keep a copy of it elsewhere)`);
    fs.writeFileSync(at('mnt/a'), 'content');
    terminal.run('umount', 'mnt');
    expect(run('cat', 'enc', 'a')).toEqual(success('content'));
    expect(run('info', 'enc').stdout).toMatch(/^chunk size +4\.0 KiB$/m);
    const second = JSON.parse(terminal.run('mount', '-w', 'second', 'mnt', '--json').stdout) as Record<string, string>;
    expect(fs.existsSync(second['keyFile'] ?? '')).toBe(true);
    expect(second).toMatchObject({ mountPoint: at('mnt'), imageId: expect.stringMatching(/^[0-9a-f]{32}$/) });
    expect(run('umount', 'mnt')).toEqual(success());
    expect(run('mount', '-w', 'third', 'mnt', '-q')).toEqual(success());
    expect(run('umount', 'mnt')).toEqual(success());
  });

  test('continues an image, sealed or not, and prints nothing, also by -o', async () => {
    await leaveUnsealed();
    expect(run('mount', '--write', 'enc', 'mnt', ...key)).toEqual(success());
    fs.writeFileSync(at('mnt/more'), 'more');
    expect(run('umount', 'mnt')).toEqual(success());
    expect(run('mount', '-o', 'rw,write,key_file=key', 'enc', 'mnt')).toEqual(success());
    fs.writeFileSync(at('mnt/most'), 'most');
    expect(run('umount', 'mnt')).toEqual(success());
    expect(run('ls', '-0', 'enc', ...key)).toEqual(success('kept\0more\0most\0'));
    expect(run('info', 'enc', ...key).stdout).toMatch(/^sealed +epoch 2; /m);
  });

  test('ignores -o rw, which mount(8) passes for every mount', () => {
    expect(run('mount', '--write', 'enc', 'mnt', ...key, '-q')).toEqual(success());
    expect(run('umount', 'mnt')).toEqual(success());
    expect(run('mount', '-o', 'rw,defaults,key_file=key', 'enc', 'mnt')).toEqual(success());
    expect(() => fs.writeFileSync(at('mnt/a'), '')).toThrow(expect.objectContaining({ code: 'EROFS' }));
    expect(run('umount', 'mnt')).toEqual(success());
  });

  test('refuses what is impossible before it makes anything', () => {
    const writer = 'it has one writer, a thread of the transport kernel.';
    const refused = (what: string): string => `an image cannot be mounted to be written with ${what}: ${writer}`;
    const mount = (...words: string[]): Transcript => run('mount', '--write', 'enc', 'mnt', ...key, ...words);
    expect(mount('--transport', 'fuse-native')).toEqual(failure(2, refused('the transport fuse-native')));
    expect(mount('--scratch')).toEqual(failure(2, refused('scratch space')));
    expect(mount('--workers', '2')).toEqual(failure(2, refused('2 workers')));
    expect(mount('-o', 'ro')).toEqual(failure(2, refused('the mount option ro')));
    expect(run('mount', '--write', 'enc', 'gone', ...key)).toEqual(
      failure(30, `the mount point ${at('gone')} does not exist.`),
    );
    expect(run('mount', '--cipher', 'none', 'enc', 'mnt')).toEqual(
      failure(2, '--cipher is for a new image: nothing is made without --write.'),
    );
    expect(run('mount', '-o', 'write,key_file=key', 'enc', 'mnt')).toMatchObject({ status: 3 });
    expect(mount('--image-id', '00'.repeat(16))).toMatchObject({ status: 3 });
    expect(mount('-k', 'gone')).toMatchObject({ status: 10 });
    expect(fs.readdirSync(base).sort()).toEqual(['key', 'mnt']);
    fs.mkdirSync(at('full/of'), { recursive: true });
    expect(run('mount', '--write', 'full', 'mnt', ...key)).toMatchObject({ status: 20 });
  });

  test('lets an image have one writer, and no reader at the same time', () => {
    expect(mountAndSay('held')).toEqual(success());
    fs.mkdirSync(at('other'));
    const second = run('mount', '--write', 'enc', 'other', ...key);
    expect(second).toEqual({
      status: 27,
      stdout: '',
      stderr: expect.stringMatching(
        /^ckptfs: \S+\/enc is being written by \S+ \d+\. An image has one writer at a time: /,
      ),
    });
    expect(second.stderr).toContain(` ${listed().pid}. `);
    expect(run('seal', 'enc', ...key)).toMatchObject({ status: 27 });
    expect(run('recover', 'enc', ...key)).toMatchObject({ status: 27 });
    for (const command of ['ls', 'verify']) expect(run(command, 'enc', ...key)).toEqual(failure(26, notSealed));
    expect(run('cat', 'enc', 'a', ...key)).toEqual(failure(26, notSealed));
    expect(run('decrypt', 'enc', 'clear', ...key)).toEqual(failure(26, notSealed));
    expect(run('mount', 'enc', 'other', ...key)).toMatchObject({ status: 26 });
    expect(run('mount', '--write', '--cipher', 'none', 'enc', 'other', ...key)).toEqual(
      failure(2, '--cipher is for a new image: enc exists already, and keeps its own.'),
    );
    expect(run('umount', 'mnt')).toEqual(success());
    expect(run('cat', 'enc', 'a', ...key)).toEqual(success('held'));
  });

  test('unmounts and seals at a signal in the foreground', async () => {
    const log = fs.openSync(at('foreground.log'), 'w');
    const daemon = spawn(ckptfsProgram, ['mount', '-wf', 'enc', 'mnt', ...key, '-q'], {
      cwd: base,
      env: terminal.environment,
      stdio: ['ignore', 'ignore', log],
    });
    fs.closeSync(log);
    await until('the mount serves', () =>
      fs.readFileSync(at('foreground.log'), 'utf8').includes('serving and writing'),
    );
    fs.writeFileSync(at('mnt/a'), 'content');
    expect(await kill(daemon)).toEqual([0, null]);
    expect(fs.readFileSync(at('foreground.log'), 'utf8')).toContain(`info: ${at('enc')} is sealed`);
    expect(run('cat', 'enc', 'a', ...key)).toEqual(success('content'));
  });

  test('seals a mount in use when its last user is gone', async () => {
    expect(mountAndSay('late')).toEqual(success());
    const user = spawn('sleep', ['100'], { cwd: at('mnt') });
    try {
      expect(run('umount', 'mnt')).toMatchObject({ status: 32, stderr: expect.stringContaining('sleep (pid N)') });
      expect(run('umount', 'mnt', '--lazy')).toEqual({
        status: 0,
        stdout: '',
        stderr:
          'ckptfs: warning: the daemon still runs, because the mount is in use; the image is sealed and its keys are wiped when that ends\n',
      });
      expect(run('info', 'enc').stdout).toMatch(/^sealed +no: /m);
    } finally {
      await kill(user);
    }
    await until('the image is sealed', () => !fs.existsSync(at('enc/journal')));
    await until('the lock is gone', () => !fs.existsSync(at('enc/lock')));
    expect(run('cat', 'enc', 'a', ...key)).toEqual(success('late'));
  });
});

describeIf(['root', 'fuse'], 'an image that a killed writer left', () => {
  test('is reported as not sealed by umount', async () => {
    expect(mountAndSay('x')).toEqual(success());
    const { pid } = listed();
    process.kill(pid, 'SIGKILL');
    await until('the daemon is dead', () => !isAlive(pid));
    expect(listed()).toMatchObject({ state: 'dead' });
    expect(run('umount', 'mnt')).toEqual(
      failure(
        26,
        `${at('mnt')} is unmounted, but its daemon does not say that the image is sealed: it was killed. Run "ckptfs seal" on the image, unless it is ephemeral; when it was mounted it was ${at('enc')}.`,
      ),
    );
    expect(run('umount', 'mnt')).toMatchObject({ status: 31 });
  });

  test('is sealed by ckptfs seal', async () => {
    await leaveUnsealed();
    const { stdout } = run('info', 'enc', ...key);
    expect(stdout).toMatch(/^sealed +no: it is being written, or writing it was interrupted$/m);
    expect(stdout).toMatch(/^stored size +[\d.]+ KiB$/m);
    expect(JSON.parse(run('info', 'enc', '--json').stdout)).toMatchObject({ sealed: false, authenticated: false });
    const withKey = run('info', 'enc', ...key, '--json');
    expect(JSON.parse(withKey.stdout)).toMatchObject({ sealed: false, authenticated: true });
    expect(run('seal', 'enc')).toMatchObject({ status: 11 });
    expect(run('seal', 'enc', ...key)).toEqual(success('image ID: sealed\n'));
    expect(run('seal', 'enc', ...key)).toEqual(success('image ID: sealed\n'));
    expect(run('seal', 'enc', ...key, '-q')).toEqual(success());
    expect(JSON.parse(run('seal', 'enc', ...key, '--json').stdout)).toEqual({ imageId: 'ID', warnings: [] });
    expect(run('cat', 'enc', 'kept', ...key)).toEqual(success('kept'));
    expect(JSON.parse(run('info', 'enc', '--json').stdout)).toMatchObject({ sealed: true });
    expect(run('seal', 'mnt', ...key)).toMatchObject({ status: 20 });
    terminal.run('keygen', '-o', 'wrong');
    expect(run('seal', 'enc', '-k', 'wrong')).toMatchObject({ status: 12 });
  });

  test('is refused with a wrong key or a changed header by every command that takes a key', async () => {
    await leaveUnsealed();
    terminal.run('keygen', '-o', 'wrong');
    for (const command of ['info', 'seal', 'recover']) {
      expect(run(command, 'enc', '-k', 'wrong'), command).toMatchObject({ status: 12, stdout: '' });
    }
    expect(run('mount', '--write', 'enc', 'mnt', '-k', 'wrong')).toMatchObject({ status: 12 });
    const header = fs.readFileSync(at('enc/ckptfs.json'), 'utf8');
    fs.writeFileSync(at('enc/ckptfs.json'), header.replace('aes-256-xts', 'aes-128-xts'));
    expect(run('info', 'enc')).toMatchObject({ status: 0 });
    expect(run('info', 'enc', ...key)).toEqual(failure(23, 'enc: header fails authentication.'));
  });

  test('is recovered whole where nothing is lost', async () => {
    await leaveUnsealed();
    expect(run('recover', 'enc', ...key)).toEqual(success('image ID: nothing is lost\n'));
    expect(run('recover', 'enc', ...key, '-q')).toEqual(success());
    expect(JSON.parse(run('recover', 'enc', ...key, '--json').stdout)).toEqual({
      imageId: 'ID',
      dropped: null,
      warnings: [],
    });
    expect(run('seal', 'enc', ...key)).toEqual(success('image ID: sealed\n'));
    expect(run('recover', 'enc', ...key)).toEqual(success('image ID: nothing is lost\n'));
  });

  test('is recovered without what is lost, which is named, and the rest can be sealed', async () => {
    await leaveUnsealed();
    losePower();
    const lost = 'the last commit: the contents of files had not reached the disk';
    const refused =
      `enc was not closed, and this would be lost: ${lost}. ` +
      'Run "ckptfs recover", which says what is lost and makes what is left usable.';
    expect(run('seal', 'enc', ...key)).toEqual(failure(26, refused));
    const bare = 'Nothing is mounted on mnt: what is written there is not encrypted.';
    expect(run('mount', '--write', 'enc', 'mnt', ...key)).toEqual(
      failure(26, `${refused.replace('enc', at('enc'))} ${bare}`),
    );
    expect(run('recover', 'enc', ...key)).toEqual(
      success(`image ID: lost: ${lost}\nthe rest can be sealed: ckptfs seal enc\n`),
    );
    expect(run('recover', 'enc', ...key)).toEqual(success('image ID: nothing is lost\n'));
    // The last state that is whole is that of before its contents came.
    const warning = 'ckptfs: warning: open when the writer ended, and empty: "kept"\n';
    expect(run('seal', 'enc', ...key)).toEqual({ status: 0, stdout: 'image ID: sealed\n', stderr: warning });
    expect(run('verify', 'enc', ...key)).toMatchObject({ status: 0 });
  });

  test('is recovered with --json and --quiet, and a loss is reported in either case', async () => {
    await leaveUnsealed();
    fs.appendFileSync(at('enc/journal'), Buffer.alloc(100, 0x77));
    const lost = 'the end of the journal: it had not reached the disk as it was written';
    fs.cpSync(at('enc'), at('copy'), { recursive: true });
    expect(run('recover', 'enc', ...key, '-q')).toEqual(success(`image ID: lost: ${lost}\n`));
    expect(JSON.parse(run('recover', 'copy', ...key, '--json').stdout)).toMatchObject({ imageId: 'ID', dropped: lost });
    expect(run('seal', 'copy', ...key, '-q')).toEqual(success());
    expect(run('cat', 'copy', 'kept', ...key)).toEqual(success('kept'));
  });
});

describeIf(['root', 'fuse', 'namespaces'], 'the helper of mount(8)', () => {
  test('mounts an existing image writable with the option write', async () => {
    expect(mountAndSay('by hand')).toEqual(success());
    expect(run('umount', 'mnt')).toEqual(success());
    const call = `'${helper}' enc mnt -o rw,noauto,write,key_file=key`;
    expect(terminal.shell(`${call} && echo more >> mnt/a && umount mnt`)).toEqual(success());
    await until('the image is sealed', () => !fs.existsSync(at('enc/lock')));
    expect(run('cat', 'enc', 'a', ...key)).toEqual(success('by handmore\n'));
    expect(terminal.shell(`${call.replace('enc', 'none')}`)).toMatchObject({ status: 32 });
    expect(fs.existsSync(at('none'))).toBe(false);
  });
});

/** Mounts and writes one file `a`. */
function mountAndSay(content: string): Transcript {
  const mounted = run('mount', '--write', 'enc', 'mnt', ...key, '-q');
  fs.writeFileSync(at('mnt/a'), content);
  return mounted;
}
