// Goal: the units do what they say, under a real systemd.
// Method: a systemd of its own, as process 1 of namespaces, with a journal; the units are installed as documented.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ckptfs } from './support/ckptfs.ts';
import { asNobody, until } from './support/mounts.ts';
import { runProgram } from './support/programs.ts';
import { makeRecipient } from './support/recipient.ts';
import { describeIf, systemTest } from './support/requirements.ts';
import { type SystemdHost, startSystemdHost } from './support/systemd-host.ts';

const units = fileURLToPath(new URL('../../docs/systemd/', import.meta.url));

let base: string;
let host: SystemdHost;
const at = (name: string): string => join(base, name);
/** A mount point of which the name of an instance has escapes. */
const mountPoint = (): string => at('my mnt-1');
const instance = (): string => runProgram('systemd-escape', '--path', mountPoint()).trim();

describeIf(['root', 'fuse', 'systemdAnalyze', 'systemdHost'], 'under systemd', () => {
  beforeAll(async () => {
    base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-systemd-')));
    fs.chmodSync(base, 0o755);
    for (const name of ['host', 'my mnt-1', 'auto', 'src', 'empty']) fs.mkdirSync(at(name));
    fs.writeFileSync(at('src/pages.img'), 'pages');
    ckptfs('keygen', '-o', at('key'));
    ckptfs('encrypt', at('src'), at('enc'), '-k', at('key'), '-q');
    ckptfs('encrypt', at('empty'), at('written'), '-k', at('key'), '-q');
    host = await startSystemdHost(at('host'));
  });
  afterAll(async () => {
    await host.close();
    fs.rmSync(base, { recursive: true });
  });

  function configure(image: string, key = fs.readFileSync(at('key'), 'utf8'), more = ''): void {
    host.write(`/etc/ckptfs${mountPoint()}.conf`, `IMAGE=${at(image)}\nOPTIONS=--allow-other\n${more}`);
    host.write(`/etc/ckptfs${mountPoint()}.key`, key);
  }

  function define(name: string, text: string): void {
    host.write(`/etc/systemd/system/${name}`, text);
    host.ask('systemctl', 'daemon-reload');
  }

  const property = (unit: string, name: string): string =>
    host.ask('systemctl', 'show', '--value', `--property=${name}`, unit).trim();

  const isActive = (unit: string): boolean => property(unit, 'ActiveState') === 'active';

  /** What the processes of a unit printed, with the priorities of syslog. */
  function journalOf(unit: string): (readonly [priority: number, text: string])[] {
    host.ask('journalctl', '--sync');
    const lines = host.ask('journalctl', '--output=json', `_SYSTEMD_UNIT=${unit}`).split('\n').slice(0, -1);
    return lines
      .map((line) => JSON.parse(line) as { readonly PRIORITY: string; readonly MESSAGE: string })
      .map(({ PRIORITY, MESSAGE }) => [Number(PRIORITY), MESSAGE]);
  }

  test('what is ordered after a mount finds it there, and stops before it', () => {
    const unit = `ckptfs@${instance()}.service`;
    configure('enc');
    define(
      'reader.service',
      `[Unit]\nRequires=${unit}\nAfter=${unit}\n` +
        `[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/cp "${mountPoint()}/pages.img" ${at('copy')}\n` +
        `ExecStop=/bin/cp "${mountPoint()}/pages.img" ${at('copy-at-stop')}\n`,
    );
    host.ask('systemctl', 'start', 'reader.service');
    expect(fs.readFileSync(at('copy'), 'utf8')).toBe('pages');
    expect(property(unit, 'StatusText')).toBe(`serving ${at('enc')} on ${mountPoint()}`);
    // The key is a credential, in memory.
    expect(host.ask('ckptfs', 'status', '--json')).toContain(
      `"key file /run/credentials/${unit.replaceAll('\\', '\\\\')}/key"`,
    );
    host.ask('systemctl', 'stop', unit);
    expect(fs.readFileSync(at('copy-at-stop'), 'utf8')).toBe('pages');
    expect([isActive('reader.service'), property(unit, 'Result')]).toEqual([false, 'success']);
    expect(journalOf(unit)).toEqual([
      [6, expect.stringMatching(/^serving /)],
      [6, `${mountPoint()} is unmounted; keys and cached plaintext are wiped`],
    ]);
  });

  test('a daemon that is killed is started again, and a wrong key is not tried again', async () => {
    const unit = `ckptfs@${instance()}.service`;
    configure('enc');
    define('ckptfs@.service.d/soon.conf', '[Service]\nRestartSec=100ms\n');
    host.ask('systemctl', 'start', unit);
    host.ask('systemctl', 'kill', '--signal=KILL', '--kill-whom=main', unit);
    await until('it serves again', () => property(unit, 'NRestarts') === '1' && isActive(unit));
    expect(host.ask('cat', join(mountPoint(), 'pages.img'))).toBe('pages');

    // The metrics are those of the new daemon, as a service sees them that sees little else.
    const directory = '/var/lib/prometheus/node-exporter';
    host.ask('mkdir', '-p', directory);
    host.ask('systemctl', 'start', 'ckptfs-metrics.service');
    expect(host.ask('cat', `${directory}/ckptfs.prom`)).toContain('ckptfs_mounts{state="serving"} 1\n');
    expect(host.ask('ls', directory)).toBe('ckptfs.prom\n');
    host.ask('systemctl', 'stop', unit);

    configure('enc', `${'0'.repeat(64)}\n`);
    expect(host.run('systemctl', 'start', unit).status).toBe(1);
    expect(['ActiveState', 'ExecMainStatus', 'NRestarts'].map((name) => property(unit, name))).toEqual([
      'failed',
      '12',
      '0',
    ]);
  });

  test('what writes into a volume ends before it is sealed, which its unit waits for', () => {
    const unit = `ckptfs-write@${instance()}.service`;
    configure('written');
    define(
      'writer.service',
      `[Unit]\nBindsTo=${unit}\nAfter=${unit}\n[Service]\nPrivateDevices=yes\n` +
        `ExecStart=/bin/sh -c 'echo content >"${mountPoint()}/file"; exec sleep infinity >>"${mountPoint()}/file"'\n` +
        `ExecStartPost=/bin/sh -c 'until [ -s "${mountPoint()}/file" ]; do sleep 0.1; done'\n`,
    );
    host.ask('systemctl', 'start', 'writer.service');
    host.ask('systemctl', 'stop', unit);
    expect(isActive('writer.service')).toBe(false);
    expect(property(unit, 'Result')).toBe('success');
    expect(ckptfs('cat', at('written'), 'file', '-k', at('key'))).toBe('content\n');
  });

  test('a key that is encrypted for this host opens an image', () => {
    const unit = `ckptfs@${instance()}.service`;
    configure('enc');
    const credential = `/etc/ckptfs${mountPoint()}.cred`;
    host.ask('systemd-creds', 'encrypt', '--with-key=host', '--name=key', at('key'), credential);
    host.ask('rm', `/etc/ckptfs${mountPoint()}.key`);
    define(
      'ckptfs@.service.d/credential.conf',
      '[Unit]\nAssertPathExists=\n[Service]\nLoadCredentialEncrypted=key:/etc/ckptfs%f.cred\n',
    );
    host.ask('systemctl', 'start', unit);
    expect(host.ask('cat', join(mountPoint(), 'pages.img'))).toBe('pages');
    host.ask('systemctl', 'stop', unit);

    // Decrypted by a command when it is needed, it is nowhere in clear meanwhile.
    configure('enc', '', `CKPTFS_KEY="cmd:systemd-creds decrypt --name=key '${credential}' -"\n`);
    define('ckptfs@.service.d/credential.conf', '[Unit]\nAssertPathExists=\n[Service]\nLoadCredential=\n');
    host.ask('systemctl', 'start', unit);
    expect(host.ask('cat', join(mountPoint(), 'pages.img'))).toBe('pages');
    expect(host.run('ls', '/run/credentials').stdout).toBe('');
    host.ask('systemctl', 'stop', unit);
  });

  test('each start makes a new image on a host that has a certificate alone, by the drop-in of docs/engines.md', () => {
    const unit = `ckptfs-write@${instance()}.service`;
    const { certificate, privateKey } = makeRecipient(base, base);
    host.ask('rm', '-f', `/etc/ckptfs${mountPoint()}.key`);
    host.write(`/etc/ckptfs${mountPoint()}.conf`, `IMAGES=${at('images')}\nOPTIONS=--recipient ${certificate}\n`);
    const page = fs.readFileSync(new URL('../../docs/engines.md', import.meta.url), 'utf8');
    const [dropIn = ''] = /^ {4}\[Unit\]\n(?: {4}.+\n)+/m.exec(page) ?? [];
    define(`${unit}.d/new.conf`, dropIn.replaceAll(/^ {4}/gm, ''));
    fs.mkdirSync(at('images'));
    host.ask('systemctl', 'start', unit);
    host.ask('touch', join(mountPoint(), 'first'));
    host.ask('systemctl', 'restart', unit);
    host.ask('touch', join(mountPoint(), 'second'));
    host.ask('systemctl', 'stop', unit);
    const images = fs.readdirSync(at('images')).sort();
    const names = images.map((image) => ckptfs('ls', '-0', join(at('images'), image), '-i', privateKey));
    expect(names).toEqual(['first\0', 'second\0']);
    expect(property(unit, 'Result')).toBe('success');
  });

  test('archives of a directory that is watched become images', async () => {
    const unit = `ckptfs-watch@${runProgram('systemd-escape', '--path', at('archives-1')).trim()}.service`;
    for (const name of ['archives-1', 'watched']) fs.mkdirSync(at(name));
    runProgram('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', at('id'));
    host.write(`/etc/ckptfs${at('archives-1')}.conf`, `IMAGES=${at('watched')}\nOPTIONS=\n`);
    host.write(`/etc/ckptfs${at('archives-1')}.crt`, fs.readFileSync(at('id.pub'), 'utf8'));
    host.ask('systemctl', 'start', unit);
    runProgram('tar', '-C', at('src'), '-cf', at('archives-1/one.tar'), 'pages.img');
    await until('it is taken', () => fs.readdirSync(at('archives-1')).length === 0);
    host.ask('systemctl', 'stop', unit);
    const [image = ''] = fs.readdirSync(at('watched')).filter((name) => !name.startsWith('.'));
    expect(ckptfs('cat', at(`watched/${image}`), 'pages.img', '-i', at('id'))).toBe('pages');
    expect(property(unit, 'Result')).toBe('success');
  });

  test('an automount mounts when a file is opened, and wipes the keys when no one uses it for a while', async () => {
    // No option names the key: the configuration of the host does.
    const source = `cmd:cat '${at('key')}'`;
    host.write('/etc/ckptfs/config.json', JSON.stringify({ key: [source] }));
    host.write(
      '/etc/fstab',
      `${at('written')} ${at('auto')} fuse.ckptfs noauto,nofail,write,x-systemd.automount,x-systemd.idle-timeout=1s 0 0\n`,
    );
    host.ask('systemctl', 'daemon-reload');
    const unit = runProgram('systemd-escape', '--path', '--suffix=mount', at('auto')).trim();
    host.ask('systemctl', 'start', unit.replace(/mount$/, 'automount'));
    expect(isActive(unit)).toBe(false);

    host.ask('sh', '-c', 'echo more >"$0"', at('auto/more'));
    const [status] = JSON.parse(host.ask('ckptfs', 'status', '--json')) as { pid: number; daemon: unknown }[];
    expect(status).toMatchObject({ mountPoint: at('auto'), daemon: { write: true, key: { source } } });
    // It is a process of the unit, and no other.
    expect(host.ask('cat', `/proc/${status?.pid}/cgroup`)).toContain(`/system.slice/${unit}\n`);

    await until('it is unmounted', () => property(unit, 'ActiveState') === 'inactive');
    // The helper of umount(8) waited for its daemon.
    expect(property(unit, 'Result')).toBe('success');
    expect(host.run('ls', `/proc/${status?.pid}`).status).not.toBe(0);
    expect(ckptfs('cat', at('written'), 'more', '-k', at('key'))).toBe('more\n');

    // The next access mounts it again, even by a command that is to mount something else there.
    expect(host.run('ckptfs', 'mount', at('enc'), at('auto'), '-k', at('key')).status).toBe(34);
    expect(host.ask('cat', at('auto/more'))).toBe('more\n');
    for (const one of [unit, unit.replace(/mount$/, 'automount')]) host.ask('systemctl', 'stop', one);
    expect(ckptfs('info', at('written'), '-k', at('key'), '--json')).toContain('"sealed": true');
    host.ask('rm', '/etc/ckptfs/config.json');
  });

  systemTest(['fusermount'], 'an ordinary user has a unit that mounts by fusermount3', () => {
    const home = at('home');
    const mountPoint = join(home, 'cr');
    const runtime = '/run/user/65534';
    host.ask('mkdir', '-p', mountPoint, join(home, '.config/systemd/user'));
    host.ask('cp', join(units, 'user/ckptfs@.service'), join(home, '.config/systemd/user'));
    host.ask('cp', '-r', at('enc'), at('key'), home);
    host.write(
      join(home, '.config/ckptfs', `${mountPoint}.conf`),
      `IMAGE=${home}/enc\nCKPTFS_KEY=file:${home}/key\nOPTIONS=\n`,
    );
    host.ask('chown', '-R', '65534:65534', home);
    // As systemd has it, but for PAM, which not every host has set up.
    define(
      'user@.service',
      '[Service]\nType=notify\nUser=%i\nDelegate=yes\nRuntimeDirectory=user/%i\nRuntimeDirectoryMode=0700\n' +
        `Environment=HOME=${home} XDG_RUNTIME_DIR=${runtime}\nExecStart=/lib/systemd/systemd --user\n`,
    );
    host.ask('systemctl', 'start', 'user@65534.service');
    const asUser = (...words: readonly string[]): string =>
      host.ask(...asNobody(home), `XDG_RUNTIME_DIR=${runtime}`, ...words);
    const unit = `ckptfs@${runProgram('systemd-escape', '--path', mountPoint).trim()}.service`;
    asUser('systemctl', '--user', 'start', unit);
    expect(asUser('cat', join(mountPoint, 'pages.img'))).toBe('pages');
    asUser('systemctl', '--user', 'stop', unit);
    expect(asUser('ls', mountPoint)).toBe('');
    expect(asUser('systemctl', '--user', 'show', '--value', '--property=Result', unit)).toBe('success\n');
    host.ask('systemctl', 'stop', 'user@65534.service');
  });
});
