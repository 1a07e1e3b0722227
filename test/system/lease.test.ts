// Goal: a mount whose key was taken back in the service is locked or unmounted in time, whatever is done with it.
// Method: a command, or an https server, plays the service; real mounts have leases of seconds.
import { execFile, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from 'vitest';
import { KeyServer } from '../support/key-server.ts';
import { foundInMemory, type Needles } from '../support/memory.ts';
import { TlsAuthority } from '../support/tls-authority.ts';
import { endOf, kill, opens } from './support/children.ts';
import { ckptfs } from './support/ckptfs.ts';
import { secretsOf } from './support/image-secrets.ts';
import { forgeHeader, writeKeyFile } from './support/images.ts';
import { PyKmip } from './support/kmip.ts';
import {
  ckptfsProgram,
  clear,
  type Encrypted,
  encryptInto,
  isAlive,
  type Mounted,
  statusOf,
  until,
} from './support/mounts.ts';
import { inTime, PATIENCE } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest, toolEnvironment } from './support/requirements.ts';

const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-lease-')));
const at = (...names: string[]): string => join(base, ...names);
const [mountPoint, audit] = [at('mnt'), at('audit')];
const canary = randomBytes(4).toString('hex');
const FILE_SIZE = 8 << 20;
/** What is served over io_uring cannot be locked, and the machine may have it switched on. */
const KERNEL = ['--transport', 'kernel'] as const;
const service = ['--key', `cmd:sh ${at('service')}`] as const;
let encrypted: Encrypted;
let needles: Needles;

/** Makes the service behave in a way until the end of the test: `denied`, `down` or `hangs`. */
const becomes = (how: string): void => fs.writeFileSync(at(how), '');
const recovers = (): void => {
  for (const how of ['denied', 'down', 'hangs']) fs.rmSync(at(how), { force: true });
};
const timesAsked = (): number => (fs.existsSync(at('asked')) ? fs.readFileSync(at('asked'), 'utf8').length : 0);

function mount(image: string, where: string, ...options: readonly string[]): Mounted {
  fs.mkdirSync(where, { recursive: true });
  const common = ['--log-file', at('log'), '--audit-log', audit, '--json'];
  return JSON.parse(ckptfs('mount', image, where, ...common, ...options)) as Mounted;
}

const leased = (...options: readonly string[]): Mounted => mount(encrypted.image, mountPoint, ...service, ...options);

const keyStatus = (where = mountPoint) => statusOf(where)?.daemon?.key;

/** The events of the audit log. */
function events(): { readonly event: string; readonly reason?: string; readonly shared?: boolean }[] {
  const lines = fs.readFileSync(audit, 'utf8').split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line));
}

const noted = (): string[] => events().map(({ event, reason = '' }) => `${event} ${reason}`.trim());

/** Reads the file in random places until it fails, after `work`; the mount is then locked. */
async function whileFioReads(work: () => Promise<void> | void): Promise<void> {
  const job = ['--name=read', `--filename=${join(mountPoint, 'pages-1.img')}`, '--rw=randread', '--bs=64k'];
  const endless = ['--numjobs=2', '--thread', '--allow_file_create=0', '--time_based', '--runtime=100000'];
  const fio = spawn('fio', [...job, ...endless], { env: toolEnvironment, stdio: 'ignore' });
  try {
    await opens(fio, mountPoint, 'pages-1.img');
    await work();
    await until('it is locked', () => keyStatus()?.locked === true);
    expect(await endOf(fio)).not.toEqual([0, null]);
  } finally {
    await kill(fio, 'SIGKILL');
  }
}

/** The processes that a process has started, as far as they run. */
function childrenOf(pid: number): number[] {
  const { stdout } = spawnSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' });
  return stdout
    .split('\n')
    .map(Number)
    .filter((child) => child > 0 && isAlive(child));
}

describeIf(['root', 'fuse'], 'a key that has a lease', () => {
  beforeAll(async () => {
    for (const name of ['source', 'mnt']) fs.mkdirSync(at(name));
    fs.writeFileSync(at('source', 'pages-1.img'), canary.repeat(FILE_SIZE / canary.length));
    encrypted = encryptInto(base, at('source'));
    const script = [
      `printf x >> ${at('asked')}`,
      `[ -e ${at('hangs')} ] && exec sleep 1000`,
      `[ -e ${at('down')} ] && exit 1`,
      `[ -e ${at('denied')} ] && exit 77`,
      `exec cat ${encrypted.keyFile}`,
    ];
    fs.writeFileSync(at('service'), `${script.join('\n')}\n`);
    needles = await secretsOf(encrypted, canary);
  });
  beforeEach(() => {
    recovers();
    for (const name of ['asked', 'audit', 'log']) fs.rmSync(at(name), { force: true });
  });
  afterEach(() => clear(mountPoint));
  afterAll(() => fs.rmSync(base, { recursive: true }));

  systemTest(
    ['fio'],
    'and is taken back locks a busy mount, in which no key is left, until it is given again',
    async () => {
      const { pid } = leased(...KERNEL, '--key-lease', '3s', '--page-files', 'direct');
      await whileFioReads(async () => {
        await until('the key is renewed', () => keyStatus()?.lease?.renewal?.result === 'ok');
        expect(keyStatus()?.locked).toBe(false);
        expect(foundInMemory(pid, needles).join()).toContain('image key');
        becomes('denied');
      });
      await until('all of it is wiped', () => noted().at(-1) === 'lock revoked');
      expect(foundInMemory(pid, needles)).toEqual([]);
      expect(() => fs.readFileSync(join(mountPoint, 'pages-1.img'))).toThrow('EIO');
      expect(keyStatus()?.lease).toMatchObject({
        state: 'revoked',
        renewal: { result: 'revoked', error: 'key-unavailable', reason: 'denied' },
      });
      expect(ckptfs('status')).toContain('locked, key revoked');
      expect(spawnSync(ckptfsProgram, ['unlock', mountPoint, ...service]).status).toBe(15);
      recovers();
      const asked = timesAsked();
      ckptfs('unlock', mountPoint, ...service);
      expect(timesAsked()).toBe(asked + 1);
      expect(fs.readFileSync(join(mountPoint, 'pages-1.img'), 'utf8').startsWith(canary)).toBe(true);
      await until('the key is renewed', () => keyStatus()?.lease?.renewal?.result === 'ok');
      const all = noted();
      for (const event of ['open', 'lease', 'renewal', 'revocation denied', 'unlock']) expect(all).toContain(event);
    },
  );

  systemTest(['fio', 'pykmip'], 'and is revoked in a KMIP server locks a busy mount', async () => {
    const kms = await PyKmip.start();
    try {
      const { url } = JSON.parse(ckptfs('kms', 'create', kms.address, 'fleet', ...kms.options(), '--json'));
      const key = ['--key', url, ...kms.options()];
      ckptfs('key', 'add', encrypted.image, '--key-file', encrypted.keyFile, '-r', url, ...kms.options());
      const { pid } = mount(encrypted.image, mountPoint, ...KERNEL, ...key, '--key-lease', '4s');
      await whileFioReads(() => {
        ckptfs('kms', 'revoke', url, '--reason', 'key-compromise', ...kms.options());
      });
      await until('all of it is wiped', () => noted().at(-1) === 'lock revoked');
      expect(foundInMemory(pid, needles)).toEqual([]);
      expect(noted()).toContain('revocation revoked');
    } finally {
      await kms.remove();
    }
  });

  systemTest([], 'of a service that does not answer is kept, or goes when the grace time is over', async () => {
    const { pid } = leased(...KERNEL, '--key-lease', '2s', '--key-timeout', '60', '--no-key-cache');
    becomes('down');
    await until('the lease is over', () => keyStatus()?.lease?.state === 'expired');
    expect(ckptfs('status')).toContain('lease expired');
    expect(noted()).toEqual(expect.arrayContaining(['unreachable command-failed', 'expiry']));
    recovers();
    await until('it is renewed', () => keyStatus()?.lease?.state === 'held');
    ckptfs('umount', mountPoint);
    await until('the daemon has ended', () => !isAlive(pid));
    const options = ['--key-lease', '2s', '--on-unreachable', 'lock', '--key-grace', '1s', '--no-key-cache'];
    const hung = leased(...KERNEL, ...options, '--key-timeout', '3000');
    becomes('hangs');
    await until('it is locked', () => keyStatus()?.locked === true);
    expect(noted().at(-1)).toBe('lock unreachable');
    expect(foundInMemory(hung.pid, needles)).toEqual([]);
    const [check = 0] = childrenOf(hung.pid);
    await until('it has started the command', () => childrenOf(check).length > 0);
    const [command = 0] = childrenOf(check);
    process.kill(hung.pid, 'SIGKILL');
    await until('what the daemon has started is gone', () => !isAlive(check) && !isAlive(command));
  });

  systemTest([], 'is not what another key opens a forged header to', async () => {
    const header = fs.readFileSync(join(encrypted.image, 'ckptfs.json'));
    writeKeyFile(at('other'));
    leased(...KERNEL, '--key', `file:${at('other')}`, '--key-lease', '2s', '--on-unreachable', 'lock');
    await forgeHeader(encrypted.image);
    try {
      await until('it is locked', () => keyStatus()?.locked === true);
      expect(noted()).toContain('unreachable replaced');
    } finally {
      fs.writeFileSync(join(encrypted.image, 'ckptfs.json'), header);
    }
  });

  systemTest([], 'and is taken back unmounts, keeps, or seals a mount, as it was told', async () => {
    const { pid } = leased(...KERNEL, '--key-lease', '2s', '--on-revoked', 'keep');
    becomes('denied');
    await until('it is revoked', () => keyStatus()?.lease?.state === 'revoked');
    expect(ckptfs('status')).toContain('serving, key revoked');
    expect(fs.readFileSync(join(mountPoint, 'pages-1.img')).length).toBeGreaterThanOrEqual(FILE_SIZE);
    ckptfs('umount', mountPoint);
    await until('the daemon has ended', () => !isAlive(pid));
    recovers();
    const held = leased(...KERNEL, '-o', 'key_lease=2s,on_revoked=unmount');
    const file = fs.openSync(join(mountPoint, 'pages-1.img'), 'r');
    becomes('denied');
    await until('it is out of sight', () => statusOf(mountPoint)?.state === 'elsewhere');
    expect(foundInMemory(held.pid, needles)).toEqual([]);
    fs.closeSync(file);
    await until('the daemon has ended', () => !isAlive(held.pid));
    recovers();
    ckptfs('encrypt', at('source'), at('written'), '--key-file', encrypted.keyFile, '--quiet');
    const writer = mount(at('written'), mountPoint, ...service, '--write', '--key-lease', '2s');
    fs.writeFileSync(join(mountPoint, 'new'), canary);
    becomes('denied');
    await until('the daemon has ended', () => !isAlive(writer.pid));
    expect(ckptfs('cat', at('written'), 'new', '--key-file', encrypted.keyFile)).toBe(canary);
    expect(noted().slice(-2)).toEqual(['revocation denied', 'unmount']);
  });

  systemTest(['fuseNative'], 'and is taken back ends a daemon whose busy mount cannot be locked', async () => {
    const { pid } = leased('--transport', 'fuse-native', '--key-lease', '2s');
    const file = fs.openSync(join(mountPoint, 'pages-1.img'), 'r');
    becomes('denied');
    await until('the daemon has ended', () => !isAlive(pid));
    expect(noted().slice(-2)).toEqual(['revocation denied', 'unmount revoked']);
    expect(() => fs.readSync(file, Buffer.alloc(4096), 0, 4096, 0)).toThrow('ENOTCONN');
    // The kernel closes it all the same.
    expect(() => fs.closeSync(file)).toThrow('ENOTCONN');
  });

  systemTest([], 'is refused where it cannot be asked for again, and where a mount cannot be locked', () => {
    const refused = (...args: readonly string[]): string => {
      const ended = spawnSync(ckptfsProgram, ['mount', encrypted.image, mountPoint, ...args], {
        encoding: 'utf8',
        timeout: PATIENCE,
      });
      expect(ended.status).toBe(2);
      return ended.stderr;
    };
    const lease = ['--key-lease', '1h'];
    expect(refused('--key', 'env:SECRET', ...lease)).toContain('a key from env: has no lease');
    expect(refused('--key', 'passphrase:', ...lease)).toContain('a key from passphrase: has no lease');
    const protectedKey = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-aes-256-cbc', '-pass', 'pass:x'];
    runProgram('openssl', 'genpkey', ...protectedKey, '-out', at('host.pem'));
    runProgram('openssl', 'pkey', '-in', at('host.pem'), '-passin', 'pass:x', '-pubout', '-out', at('host.pub'));
    ckptfs('key', 'add', encrypted.image, '--key-file', encrypted.keyFile, '-r', at('host.pub'));
    const asked = spawnSync(ckptfsProgram, ['mount', encrypted.image, mountPoint, '-i', at('host.pem'), ...lease]);
    expect(String(asked.stderr)).toContain('without asking a user for a passphrase');
    expect(refused(...service, '--on-revoked', 'lock')).toContain('--on-revoked is for a key that has a lease');
    expect(refused(...service, ...lease, '--write', '--on-revoked', 'lock')).toContain('cannot be locked');
    expect(refused(...service, ...lease, '--transport', 'fuse-native', '--on-unreachable', 'lock')).toContain(
      'cannot be locked',
    );
  });

  describe('of a server', () => {
    const places = Array.from({ length: 6 }, (_, index) => at(`mnt-${index}`));
    let authority: TlsAuthority;
    let server: KeyServer;

    beforeEach(async () => {
      authority = new TlsAuthority();
      const key = fs.readFileSync(encrypted.keyFile);
      const issued = authority.issue('server', 'IP:127.0.0.1');
      server = await KeyServer.start(issued, (_request, response) => void response.end(key));
    });
    afterEach(async () => {
      for (const place of places) clear(place);
      await server.close().catch(() => undefined);
      authority.remove();
    });

    /** Mounts, without keeping this thread, which answers the questions. */
    async function mountRemote(place: string, lease: string): Promise<void> {
      fs.mkdirSync(place, { recursive: true });
      const remote = ['--key', `${server.url}/k`, '--key-ca-file', authority.caFile, '--audit-log', audit];
      const options = [...remote, '--key-lease', lease, '--log-file', `${place}.log`];
      await promisify(execFile)(ckptfsProgram, ['mount', encrypted.image, place, ...options]);
    }

    systemTest([], 'is fetched once by mounts that begin together', async () => {
      await Promise.all(places.map((place) => mountRemote(place, '1h')));
      expect(server.asked.length).toBe(1);
      const opened = events().filter(({ event }) => event === 'open');
      expect(opened.length).toBe(places.length);
      expect(opened.filter(({ shared }) => shared === true).length).toBe(places.length - 1);
    });

    systemTest(
      [],
      'is asked for by one of two mounts, and kept when the server is killed while it is asked',
      async () => {
        const [first = '', second = ''] = places;
        await Promise.all([mountRemote(first, '4s'), mountRemote(second, '4s')]);
        await until('one has heard what the other asked', () =>
          events().some(({ event, shared }) => event === 'renewal' && shared === true),
        );
        const asked = new Promise<void>((resolve) => {
          server.answer = () => resolve();
        });
        await inTime('a question', asked);
        await server.close();
        await until('it is not reached', () => noted().includes('unreachable unreachable'));
        expect(keyStatus(first)?.locked).toBe(false);
      },
    );
  });
});
