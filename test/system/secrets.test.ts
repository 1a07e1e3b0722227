// Goal: keys and plaintext are in no file, argument, log, core or disk where they must not be.
// Method: real commands work with known secrets; then processes, logs and whole disks are searched for them.
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import {
  deriveHeaderMacKey,
  deriveJournalKey,
  deriveManifestKey,
  deriveObjectDataKey,
  deriveObjectMacKey,
} from '../../src/crypto/image-keys.ts';
import type { Secret } from '../../src/crypto/secret.ts';
import { primitives } from '../../src/crypto/select.ts';
import { openImage, readAnyHeader, readHeader } from '../../src/image/read/image.ts';
import { readKeyFile } from '../../src/keys/key-file.ts';
import { unwrapImageKey } from '../../src/keys/provider.ts';
import { symmetricKeyProvider } from '../../src/keys/symmetric-key.ts';
import { LocalStore } from '../../src/stores/local-store.ts';
import { foundInMemory, type Needles } from '../support/memory.ts';
import { dumpProcess, restoreProcess } from './support/checkpoints.ts';
import { ckptfs, isMounted } from './support/ckptfs.ts';
import { buildFixture } from './support/fixtures.ts';
import {
  asNobody,
  built,
  ckptfsProgram,
  clear,
  type Encrypted,
  encryptInto,
  isAlive,
  mountNew,
  mountOn,
  until,
  withFuseForAll,
} from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest, toolEnvironment } from './support/requirements.ts';
import { testedTransports } from './support/transports.ts';

/** A secret in the forms it could be written down in. */
function formsOf(name: string, bytes: Uint8Array): Needles {
  const buffer = Buffer.from(bytes);
  return {
    [`${name}, raw`]: buffer,
    [`${name}, hex`]: Buffer.from(buffer.toString('hex')),
    [`${name}, HEX`]: Buffer.from(buffer.toString('hex').toUpperCase()),
    [`${name}, base64`]: Buffer.from(buffer.toString('base64').slice(0, -2)),
    [`${name}, base64url`]: Buffer.from(buffer.toString('base64url')),
  };
}

/** Reads a header and holds the image's directory no longer than that, so that the disk below it can be unmounted. */
function headerOf(image: string, read: typeof readAnyHeader): ReturnType<typeof readAnyHeader> {
  const store = new LocalStore(image);
  try {
    return read(store);
  } finally {
    store.close();
  }
}

async function unlock({ image, keyFile }: Encrypted, readAs = readHeader): Promise<Secret> {
  const { slots, imageId } = headerOf(image, readAs);
  const provider = symmetricKeyProvider(readKeyFile(keyFile).key, 'key');
  return (await unwrapImageKey(slots, imageId, [provider])).imageKey;
}

/** Image key, key file and every key that is made of them. */
async function allKeys(encrypted: Encrypted): Promise<Needles> {
  const imageKey = await unlock(encrypted);
  const store = new LocalStore(encrypted.image);
  const { header, manifest } = openImage(store, readHeader(store), imageKey);
  const { imageId, cipher } = header;
  const p = primitives();
  const derived: Record<string, Buffer> = {
    'header MAC key': Buffer.from(deriveHeaderMacKey(p, imageKey, imageId).bytes),
    'manifest key': Buffer.from(deriveManifestKey(p, imageKey, imageId).bytes),
  };
  if (cipher !== 'aes-256-xts' && cipher !== 'aes-128-xts') throw new Error(`not for ${cipher}`);
  for (const [at, { id }] of manifest.objects.entries()) {
    const data = Buffer.from(deriveObjectDataKey(p, cipher, imageKey, imageId, id).bytes);
    derived[`data key ${at}, first half`] = data.subarray(0, data.length / 2);
    derived[`data key ${at}, second half`] = data.subarray(data.length / 2);
    derived[`MAC key ${at}`] = Buffer.from(deriveObjectMacKey(p, cipher, imageKey, imageId, id).bytes);
  }
  store.close();
  return { ...formsOf('image key', imageKey.bytes), ...formsOf('key file', keyBytes(encrypted)), ...derived };
}

function keyBytes({ keyFile }: Encrypted): Uint8Array {
  return readKeyFile(keyFile).key.bytes;
}

function foundIn(bytes: Buffer, needles: Needles): string[] {
  return Object.entries(needles).flatMap(([name, needle]) => (bytes.includes(needle) ? [name] : []));
}

/** All bytes of all files below a directory, names included. */
function everythingIn(directory: string): Buffer {
  const entries = fs.readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Buffer.concat([
    Buffer.from(entries.map(({ name }) => name).join('\n')),
    ...files.map((path) => fs.readFileSync(path)),
  ]);
}

/**
 * Reads everything of the mount, and finds the names of the needles that are in memory meanwhile. A thread that hands
 * over to others wipes its keys, so this reads until one of an object's keys is found.
 */
async function seenWhileRead(pid: number, needles: Needles): Promise<string[]> {
  let seen: string[] = [];
  await until('the scan finds a key that is in use', () => {
    runProgram(
      'sh',
      '-c',
      `echo 3 > /proc/sys/vm/drop_caches; cat ${mountPoint}/* | md5sum
      dd if=${mountPoint}/pages-1.img bs=4k skip=7 count=9 | md5sum`,
    );
    seen = foundInMemory(pid, needles).map((found) => found.replace(/ in .*/, ''));
    return seen.includes('data key 0, first half');
  });
  return seen;
}

const canary = `CANARY-${randomBytes(12).toString('hex')}`;

const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-secrets-')));
const mountPoint = join(base, 'mnt');

describeIf(['root', 'fuse'], 'of what is secret', () => {
  let encrypted: Encrypted;

  beforeAll(() => {
    fs.chmodSync(base, 0o755);
    fs.mkdirSync(join(base, 'source'));
    fs.writeFileSync(join(base, 'source', 'pages-1.img'), canary.repeat(50_000));
    for (let i = 0; i < 20; i++) fs.writeFileSync(join(base, 'source', `${canary}-${i}`), canary);
    encrypted = encryptInto(base, join(base, 'source'));
    fs.mkdirSync(mountPoint);
  });
  afterEach(() => [mountPoint, join(base, 'home', 'mnt')].forEach(clear));
  afterAll(() => fs.rmSync(base, { recursive: true }));

  systemTest([], 'the image, the log, arguments and environment of the daemon hold no secret', async () => {
    const needles = { ...(await allKeys(encrypted)), canary: Buffer.from(canary) };
    const mounted = mountOn(mountPoint, encrypted);
    runProgram('sh', '-c', `cat ${mountPoint}/* | md5sum`);
    const proc = (name: string): Buffer => fs.readFileSync(`/proc/${mounted.pid}/${name}`);
    expect(proc('cmdline').toString()).toContain('/bin/ckptfs\0mount');
    expect(proc('environ').toString()).toContain('PATH=');
    for (const name of ['cmdline', 'environ', 'comm']) expect(foundIn(proc(name), needles), name).toEqual([]);
    ckptfs('umount', mountPoint);
    const log = fs.readFileSync(mounted.logFile);
    expect(log.toString()).toContain(encrypted.image);
    expect(foundIn(log, needles)).toEqual([]);
    expect(fs.statSync(mounted.logFile).mode & 0o777).toBe(0o600);
    expect(foundIn(everythingIn(encrypted.image), needles)).toEqual([]);
  });

  systemTest(['setpriv', 'fusermount', 'gdb'], 'the daemon shows nothing to its own user', async () => {
    const home = join(base, 'home');
    fs.cpSync(encrypted.image, join(home, 'enc'), { recursive: true });
    fs.copyFileSync(encrypted.keyFile, join(home, 'key'));
    fs.mkdirSync(join(home, 'mnt'));
    runProgram('chown', '-R', '65534:65534', home);
    const [program, ...prefix] = asNobody(home);
    const asUser = (...command: string[]) =>
      spawnSync(program, [...prefix, ...command], { encoding: 'utf8', cwd: home, timeout: PATIENCE });
    await withFuseForAll(async () => {
      const mount = [ckptfsProgram, 'mount', join(home, 'enc'), join(home, 'mnt'), '--key-file', join(home, 'key')];
      const { pid } = JSON.parse(asUser(...mount, '--json').stdout);
      for (const name of ['mem', 'environ', 'auxv', 'maps', 'stack']) {
        const result = asUser('head', '--bytes=1', `/proc/${pid}/${name}`);
        expect(result.stderr, name).toMatch(/Permission denied|Operation not permitted/);
      }
      const core = asUser('gcore', '-o', join(home, 'core'), String(pid));
      expect(core.status).not.toBe(0);
      expect(fs.readdirSync(home).filter((name) => name.startsWith('core'))).toEqual([]);
      expect(fs.readFileSync(`/proc/${pid}/limits`, 'utf8')).toMatch(/^Max core file size +0 +0 /m);
      asUser(ckptfsProgram, 'umount', join(home, 'mnt'));
      await until('the daemon has ended', () => !isAlive(pid));
    });
    expect(isMounted(join(home, 'mnt'))).toBe(false);
  });

  systemTest([], 'nothing is left in memory after unmounting what was never read', async () => {
    const { mountImage } = await built<typeof import('../../src/serve/launch/mount.ts')>('serve/launch/mount.js');
    const needles = await allKeys(encrypted);
    const [imageKey, logFile] = [await unlock(encrypted), join(base, 'daemon.log')];
    const options = { location: encrypted.image, mountPoint, imageKey, logFile, lingerSeconds: 120 };
    const mounted = await mountImage(options);
    try {
      expect(fs.readdirSync(mountPoint)).toContain('pages-1.img');
      expect(foundInMemory(mounted.pid, needles).join()).toContain('image key, raw');
      await mounted.unmount();
      expect(foundInMemory(mounted.pid, needles)).toEqual([]);
    } finally {
      process.kill(mounted.pid, 'SIGKILL');
      await mounted.unmount().catch(() => undefined);
    }
  });

  for (const { transport, needs } of testedTransports) {
    systemTest(needs, `nothing is left in memory after unmounting (${transport})`, async () => {
      const { mountImage } = await built<typeof import('../../src/serve/launch/mount.ts')>('serve/launch/mount.js');
      const needles = await allKeys(encrypted);
      const imageKey = await unlock(encrypted);
      const logFile = join(base, 'daemon.log');
      const options = { location: encrypted.image, mountPoint, imageKey, transport, logFile, lingerSeconds: 120 };
      const mounted = await mountImage(options);
      try {
        const serving = await seenWhileRead(mounted.pid, needles);
        expect(serving).toContain('image key, raw');
        expect(serving.filter((found) => found.startsWith('key file'))).toEqual([]);
        await mounted.unmount();
        expect(isAlive(mounted.pid)).toBe(true);
        expect(foundInMemory(mounted.pid, needles)).toEqual([]);
        // The libfuse of fuse-native frees its own buffers as they are; its process ends a moment later.
        if (transport !== 'fuse-native') {
          expect(foundInMemory(mounted.pid, { contents: Buffer.from(canary + canary) })).toEqual([]);
        }
      } finally {
        process.kill(mounted.pid, 'SIGKILL');
      }
    });
  }
});

/** Returns the key of the journal that an unsealed image has now. */
function journalKey({ image }: Encrypted, imageKey: Secret, imageId: Buffer): Needles {
  const journalId = fs.readFileSync(join(image, 'journal')).subarray(16, 32);
  return { 'journal key': Buffer.from(deriveJournalKey(primitives(), imageKey, imageId, journalId).bytes) };
}

describeIf(['root', 'fuse'], 'of what is written', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-secrets-write-')));
  const mountPoint = join(base, 'mnt');
  afterEach(() => clear(mountPoint));
  afterAll(() => fs.rmSync(base, { recursive: true }));

  systemTest([], 'nothing is left in memory after unmounting, nor in the log', async () => {
    const { mountImage } = await built<typeof import('../../src/serve/launch/mount.ts')>('serve/launch/mount.js');
    const [encrypted] = mountNew(base, mountPoint);
    ckptfs('umount', mountPoint);
    const imageKey = await unlock(encrypted);
    const { imageId } = headerOf(encrypted.image, readHeader);
    const logFile = join(base, 'daemon.log');
    const options = { location: encrypted.image, mountPoint, imageKey, write: true, logFile, lingerSeconds: 120 };
    const mounted = await mountImage(options);
    const contents = { contents: Buffer.from(canary + canary) };
    try {
      // Whole chunks, parts of chunks that stay dirty until they are closed, and what is read back.
      fs.writeFileSync(join(mountPoint, 'large'), canary.repeat(100_000));
      for (let i = 0; i < 20; i++) fs.writeFileSync(join(mountPoint, `small-${i}`), canary.repeat(3));
      const fd = fs.openSync(join(mountPoint, 'large'), 'r+');
      for (let i = 0; i < 20; i++) fs.writeSync(fd, canary.repeat(3), 50_000 * i + 7);
      const readAgain = 'for file; do dd if="$file" iflag=nocache count=0 && cat "$file"; done | md5sum';
      runProgram('bash', '-c', readAgain, 'bash', ...fs.readdirSync(mountPoint).map((name) => join(mountPoint, name)));
      const journal = journalKey(encrypted, imageKey, imageId);
      // This scan finds what is there.
      const writing = foundInMemory(mounted.pid, { ...formsOf('image key', imageKey.bytes), ...contents });
      expect(writing.map((found) => found.replace(/ in .*/, ''))).toEqual(
        expect.arrayContaining(['image key, raw', 'contents']),
      );
      fs.closeSync(fd);
      await mounted.unmount();
      expect(isAlive(mounted.pid)).toBe(true);
      const needles = { ...(await allKeys(encrypted)), ...journal, ...contents };
      expect(foundInMemory(mounted.pid, needles)).toEqual([]);
      expect(foundIn(fs.readFileSync(logFile), { ...needles, canary: Buffer.from(canary) })).toEqual([]);
    } finally {
      process.kill(mounted.pid, 'SIGKILL');
    }
  });
});

describeIf(['root', 'fuse', 'loop'], 'on the disk below a writable mount', () => {
  const memory = fs.mkdtempSync('/dev/shm/ckptfs-secrets-');
  const disk = fs.mkdtempSync(join(tmpdir(), 'ckptfs-disk-'));
  const mountPoint = join(memory, 'mnt');
  const device = join(memory, 'device');
  afterAll(() => {
    clear(mountPoint);
    clear(disk);
    fs.rmSync(memory, { recursive: true });
    fs.rmdirSync(disk);
  });

  systemTest([], 'no secret, no plaintext and no name, while it is written, left by a kill, and sealed', async () => {
    fs.writeFileSync(device, '');
    fs.truncateSync(device, 128 << 20);
    runProgram('mkfs.ext4', '-q', device);
    const withDisk = async <T>(work: () => Promise<T>): Promise<T> => {
      runProgram('mount', '-o', 'loop', device, disk);
      try {
        return await work();
      } finally {
        clear(mountPoint);
        runProgram('umount', disk);
      }
    };
    const encrypted: Encrypted = { source: mountPoint, image: join(disk, 'enc'), keyFile: join(memory, 'key') };
    const options = ['--write', '--key-file', encrypted.keyFile, '--log-file', join(disk, 'log'), '--json'];
    fs.mkdirSync(mountPoint);
    ckptfs('keygen', '-o', encrypted.keyFile);
    const { journal, pid } = await withDisk(async () => {
      const mounted = JSON.parse(ckptfs('mount', encrypted.image, mountPoint, ...options)) as { pid: number };
      for (let i = 0; i < 30; i++) fs.writeFileSync(join(mountPoint, `${canary}-${i}`), canary.repeat(1 + 500 * i));
      fs.symlinkSync(`${canary}-target`, join(mountPoint, 'link'));
      const fd = fs.openSync(join(mountPoint, `${canary}-7`), 'r+');
      for (let i = 0; i < 30; i++) {
        fs.writeSync(fd, canary.repeat(3), 5000 * i + 7);
        if (i % 5 === 0) fs.fsyncSync(fd);
      }
      fs.renameSync(join(mountPoint, `${canary}-8`), join(mountPoint, `${canary}-renamed`));
      fs.rmSync(join(mountPoint, `${canary}-9`));
      fs.fsyncSync(fd);
      process.kill(mounted.pid, 'SIGKILL');
      await until('the daemon is dead', () => !isAlive(mounted.pid));
      // Which of the two depends on whether the connection is noticed to be gone before or while the request waits.
      expect(() => fs.closeSync(fd)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^(ENOTCONN|ECONNABORTED)$/) }),
      );
      const { imageId } = headerOf(encrypted.image, readAnyHeader);
      const imageKey = await unlock(encrypted, readAnyHeader);
      return { journal: journalKey(encrypted, imageKey, imageId), pid: mounted.pid };
    });
    const written = { canary: Buffer.from(canary), ...formsOf('canary', Buffer.from(canary)), ...journal };
    const unsealed = fs.readFileSync(device);
    expect(unsealed.includes('ckptjrnl')).toBe(true);
    expect(foundIn(unsealed, { ...written, ...formsOf('key file', keyBytes(encrypted)) })).toEqual([]);

    const needles = await withDisk(async () => {
      const again = JSON.parse(ckptfs('mount', encrypted.image, mountPoint, ...options)) as { pid: number };
      expect(again.pid).not.toBe(pid);
      expect(fs.readFileSync(join(mountPoint, `${canary}-renamed`), 'utf8')).toBe(canary.repeat(1 + 500 * 8));
      fs.appendFileSync(join(mountPoint, `${canary}-renamed`), canary);
      ckptfs('umount', mountPoint);
      ckptfs('verify', encrypted.image, '--key-file', encrypted.keyFile);
      return { ...(await allKeys(encrypted)), ...written };
    });
    const sealed = fs.readFileSync(device);
    expect(sealed.includes('keys and cached plaintext are wiped')).toBe(true);
    expect(foundIn(sealed, needles)).toEqual([]);
  });
});

describeIf(['root', 'fuse', 'loop', 'criu', 'namespaces', 'gcc'], 'on the disk', () => {
  // What is in clear by design (the checkpoint, the key file, CRIU's own files) is kept in memory.
  const memory = fs.mkdtempSync('/dev/shm/ckptfs-secrets-');
  const disk = fs.mkdtempSync(join(tmpdir(), 'ckptfs-disk-'));
  const device = join(memory, 'device');
  afterAll(() => {
    clear(disk);
    fs.rmSync(memory, { recursive: true });
    fs.rmdirSync(disk);
  });

  systemTest([], 'no secret and no plaintext, after encrypting, mounting, restoring and unmounting', async () => {
    fs.writeFileSync(device, '');
    fs.truncateSync(device, 256 << 20);
    runProgram('mkfs.ext4', '-q', device);
    runProgram('mount', '-o', 'loop', device, disk);
    const at = (name: string): string => join(disk, name);
    for (const name of ['home', 'tmp', 'state', 'mnt']) fs.mkdirSync(at(name));
    const env = {
      ...toolEnvironment,
      HOME: at('home'),
      TMPDIR: at('tmp'),
      XDG_STATE_HOME: at('state'),
      XDG_CONFIG_HOME: at('home'),
    };
    const run = (...args: string[]): string =>
      execFileSync(ckptfsProgram, args, { env, cwd: disk, encoding: 'utf8', timeout: PATIENCE });

    const stateFile = join(memory, 'state');
    const command = buildFixture('counter', { directory: memory, stateFile, mebibytes: 48, canary });
    const checkpoint = await dumpProcess(command, { images: join(memory, 'images'), work: memory, stateFile });
    expect(everythingIn(checkpoint.images).includes(canary)).toBe(true);

    const keyFile = join(memory, 'key');
    const encrypted: Encrypted = { source: checkpoint.images, image: at('enc'), keyFile };
    run('keygen', '-o', keyFile);
    run('encrypt', checkpoint.images, at('enc'), '--key-file', keyFile);
    const log = at('daemon.log');
    const { pid } = JSON.parse(run('mount', at('enc'), at('mnt'), '--key-file', keyFile, '--log-file', log, '--json'));
    runProgram('diff', '-r', checkpoint.images, at('mnt'));
    const restored = await restoreProcess(checkpoint, at('mnt'), { work: join(memory, 'work') });
    try {
      expect((await restored.countsOn()).damaged).toEqual([]);
    } finally {
      await restored.kill();
    }
    run('umount', at('mnt'));
    await until('the daemon has ended', () => !isAlive(pid));
    run('verify', at('enc'), '--key-file', keyFile);
    const needles = {
      ...(await allKeys(encrypted)),
      canary: Buffer.from(canary),
      ...formsOf('canary', Buffer.from(canary)),
    };
    const { imageId } = headerOf(at('enc'), readHeader);
    runProgram('umount', disk);

    const bytes = fs.readFileSync(device);
    // The scan does see what is there: the header in the image, a line of the log.
    expect(bytes.includes(imageId.toString('hex'))).toBe(true);
    expect(bytes.includes('keys and cached plaintext are wiped')).toBe(true);
    expect(foundIn(bytes, needles)).toEqual([]);
  });
});
