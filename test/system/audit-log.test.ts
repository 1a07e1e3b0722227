// Goal: the audit log has a line for each time that a key or a signature decided about an image, by any command.
// Method: the built commands, that succeed and that fail, with a file, and with a socket in the place of syslog's.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { ckptfs, runCkptfs } from './support/ckptfs.ts';
import { ckptfsProgram, clear, isAlive, mountOn, until } from './support/mounts.ts';
import { openNamespace } from './support/namespace.ts';
import { describeIf } from './support/requirements.ts';

const receiver = fileURLToPath(new URL('support/notify_socket.py', import.meta.url));
const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-audit-')));
const at = (name: string): string => join(base, name);
const [log, mountPoint] = [at('log'), at('mnt')];
const key = ['-k', at('key')];
const audit = ['--audit-log', log];
const demand = ['--require-signature', '--trusted', at('signer.pub')];
const [wrongKey, untrusted] = [12, 13];

/** Returns the events of the log and how they ended. */
function noted(): string[] {
  const lines = fs.readFileSync(log, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line)).map(({ event, result }) => `${event} ${result}`);
}

function fails(status: number, ...args: readonly string[]): void {
  expect(runCkptfs(...args)).toMatchObject({ status });
}

beforeAll(() => {
  for (const name of ['src', 'mnt']) fs.mkdirSync(at(name));
  fs.writeFileSync(at('src/core-1.img'), 'core');
  for (const name of ['key', 'wrong']) ckptfs('keygen', '-o', at(name));
  execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', at('signer.pem')]);
  execFileSync('openssl', ['pkey', '-in', at('signer.pem'), '-pubout', '-out', at('signer.pub')]);
  ckptfs('encrypt', at('src'), at('enc'), ...key, '-q');
});
beforeEach(() => fs.rmSync(log, { force: true }));
afterEach(() => clear(mountPoint));
afterAll(() => fs.rmSync(base, { recursive: true }));

test('making an image opens none, and opening it anew to encrypt it again does', () => {
  ckptfs('encrypt', at('src'), at('made'), ...key, ...audit, '-q', '--sign', at('signer.pem'));
  expect(noted()).toEqual([]);
  fails(wrongKey, 'reencrypt', at('made'), '-k', at('wrong'), '-r', `file:${at('key')}`, ...audit);
  expect(noted()).toEqual(['refused wrong-key']);
  ckptfs('reencrypt', at('made'), ...key, '-r', `file:${at('key')}`, ...audit, '-q');
  expect(noted()).toEqual(['refused wrong-key', 'open ok']);
});

test('a line has the whole path of an image that is named by a relative one', () => {
  execFileSync(ckptfsProgram, ['ls', 'enc', ...key, ...audit], { cwd: base, stdio: 'ignore' });
  expect(JSON.parse(fs.readFileSync(log, 'utf8'))).toMatchObject({ event: 'open', image: at('enc') });
});

test('an image that is shredded is noted, and one that is not', () => {
  ckptfs('encrypt', at('src'), at('shredded'), ...key, '-q');
  const { imageId } = JSON.parse(ckptfs('info', at('shredded'), '--json'));
  fails(24, 'shred', at('shredded'), '--image-id', '0'.repeat(32), ...audit);
  ckptfs('shred', at('shredded'), '--image-id', imageId, ...audit, '-q');
  expect(noted()).toEqual(['shred wrong-image', 'shred ok']);
});

test('an image whose signature is refused is noted, by each command that demands one', () => {
  const enc = at('enc');
  fails(untrusted, 'cat', enc, 'core-1.img', ...key, ...demand, ...audit);
  fails(untrusted, 'mount', enc, mountPoint, ...key, ...demand, ...audit);
  fails(untrusted, 'reencrypt', enc, ...key, '-r', `file:${at('key')}`, ...demand, ...audit);
  fails(untrusted, 'verify', enc, '--signature-only', '--trusted', at('signer.pub'), ...audit);
  expect(noted()).toEqual(Array(4).fill('refused untrusted'));
  const { imageId } = JSON.parse(ckptfs('info', enc, '--json'));
  const [line = ''] = fs.readFileSync(log, 'utf8').split('\n');
  expect(JSON.parse(line)).toMatchObject({ event: 'refused', image: enc, imageId, result: 'untrusted' });
  fails(3, 'cat', enc, 'core-1.img', ...key, ...demand, '--audit-log', '/dev/full');
});

describeIf(['root', 'fuse'], 'a writable mount', () => {
  test('notes its end, and its opening where the image was there before', async () => {
    const encrypted = { source: at('src'), image: at('written'), keyFile: at('key') };
    const mount = async (): Promise<void> => {
      const { pid } = mountOn(mountPoint, encrypted, '--write', ...audit);
      ckptfs('umount', mountPoint);
      await until('the daemon has ended', () => !isAlive(pid));
    };
    await mount();
    expect(noted()).toEqual(['unmount ok']);
    fails(wrongKey, 'mount', at('written'), mountPoint, '-k', at('wrong'), '--write', ...audit);
    await mount();
    expect(noted()).toEqual(['unmount ok', 'refused wrong-key', 'open ok', 'unmount ok']);
  });
});

describeIf(['root', 'namespaces'], 'the log of the system', () => {
  test('gets a datagram for each line, and an opening fails where there is none', async () => {
    const host = await openNamespace();
    const socket = spawn('python3', [receiver, at('syslog')], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(socket, 'exit');
    try {
      const lines = createInterface(socket.stdout)[Symbol.asyncIterator]();
      const next = async () => JSON.parse((await lines.next()).value);
      expect(await next()).toEqual({ listens: at('syslog') });
      const nodes = 'for one in null zero random urandom; do touch "$0/$one"; mount --bind "/dev/$one" "$0/$one"; done';
      const script = `mkdir "$0" && mount -t tmpfs none "$0" && ${nodes}; mount --rbind "$0" /dev`;
      expect(host.run('sh', '-c', script, at('dev'))).toMatchObject({ status: 0 });
      const cat = ['cat', at('enc'), 'core-1.img', '--audit-log', 'syslog'];
      expect(host.run(ckptfsProgram, ...cat, ...key)).toMatchObject({ status: 3, stdout: '' });
      expect(host.run('ln', '-s', at('syslog'), '/dev/log')).toMatchObject({ status: 0 });
      expect(host.run(ckptfsProgram, ...cat, ...key)).toMatchObject({ status: 0, stdout: 'core' });
      expect(host.run(ckptfsProgram, ...cat, '-k', at('wrong'))).toMatchObject({ status: wrongKey });
      for (const [event, result] of [['open', 'ok'] as const, ['refused', 'wrong-key'] as const]) {
        const { lines: sent } = await next();
        const [, pid, json = ''] = /^<86>ckptfs\[(\d+)\]: (\{.*\})$/.exec(sent.join('\n')) ?? [];
        expect(JSON.parse(json)).toMatchObject({ event, result, pid: Number(pid), image: at('enc') });
      }
    } finally {
      socket.kill();
      await ended;
      await host.close();
    }
  });
});
