// Goal: the units do what they say, under a real systemd.
// Method: a systemd of its own, as process 1 of namespaces, with a journal; the units are installed as documented.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ckptfs } from './support/ckptfs.ts';
import { until } from './support/mounts.ts';
import { runProgram } from './support/programs.ts';
import { makeRecipient } from './support/recipient.ts';
import { describeIf } from './support/requirements.ts';
import { type SystemdHost, startSystemdHost } from './support/systemd-host.ts';

let base: string;
let host: SystemdHost;
const at = (name: string): string => join(base, name);
/** A mount point of which the name of an instance has escapes. */
const mountPoint = (): string => at('my mnt-1');
const instance = (): string => runProgram('systemd-escape', '--path', mountPoint()).trim();

describeIf(['root', 'fuse', 'systemdAnalyze', 'systemdHost'], 'under systemd', () => {
  beforeAll(async () => {
    base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-systemd-')));
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
});
