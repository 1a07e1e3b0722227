// Goal: programs find in each line of JSON what docs/cli.md promises, and nothing else.
// Method: the real commands run with --json; the fields of their output are held to the document.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { criuCase } from '../support/criu-fixtures.ts';
import { PyKmip } from './support/kmip.ts';
import { ckptfsProgram, clear, statusOf, until } from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { Registry } from './support/remote-servers.ts';
import { describeIf } from './support/requirements.ts';
import { Terminal, type Transcript } from './support/transcript.ts';

const guide = fs.readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
const key = ['-k', 'key'];
const otherName = Buffer.from([0x66, 0xff]);

let base: string;
let terminal: Terminal;
let kms: PyKmip;
let registry: Registry;
const at = (...names: string[]): string => join(base, ...names);

/** What each command printed, by its name; `standard error` for the lines of all of them. */
const printed = new Map<string, Set<string>>();

/** Notes the fields of everything that a command line with --json prints. */
function note(command: string, { stdout, stderr }: Transcript): Transcript {
  if (stdout.trim() !== '' && command !== 'exec') add(command, JSON.parse(stdout));
  for (const line of stderr.split('\n').slice(0, -1)) {
    const value = JSON.parse(line) as object;
    add('result' in value ? command : 'standard error', value);
  }
  return { status: 0, stdout, stderr };
}

function run(command: string, ...words: string[]): Transcript {
  return note(command, terminal.run(command, '--json', ...words));
}

function add(command: string, value: unknown): void {
  const fields = printed.get(command) ?? new Set();
  for (const field of fieldsOf(value)) fields.add(field);
  printed.set(command, fields);
}

/** Shows a configuration and a policy with every member. */
function configOfAll(): Transcript {
  const checks = { caFile: ['/ca'], crlFile: ['/crl'], ocsp: 'auto' };
  const rules = {
    requireSignature: true,
    trusted: ['/t'],
    minEpoch: 1,
    crlFile: ['/crl'],
    ocsp: 'off',
    suite: 'default',
    fipsProvider: false,
    ciphers: ['none'],
    keySources: ['file'],
    recipientChecks: { ...checks, force: false },
  };
  fs.writeFileSync(at('policy.json'), JSON.stringify(rules), { mode: 0o600 });
  const words = ['config', '--json', '--policy', at('policy.json')];
  const environment = { ...process.env, XDG_CONFIG_HOME: at('none'), CKPTFS_KEY: 'file:k' };
  const { stdout, stderr } = spawnSync(ckptfsProgram, words, { env: environment, encoding: 'utf8', timeout: PATIENCE });
  return { status: 0, stdout, stderr };
}

/**
 * Paths of all values that have no parts, `[]` for an element of a list; of a list of such values the path of the list.
 */
function fieldsOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) {
    const parts = value.flatMap((one) => (isObject(one) ? fieldsOf(one, `${path}[]`) : [path]));
    return value.length === 0 && path !== '' ? [path] : parts;
  }
  if (!isObject(value)) return [path];
  return Object.entries(value).flatMap(([name, part]) => fieldsOf(part, path === '' ? name : `${path}.${name}`));
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** The fields in the table of docs/cli.md, by command. */
function documented(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  const section = guide.slice(guide.indexOf('\n## JSON\n'), guide.indexOf('\n## Exit codes\n'));
  let commands: string[] = [];
  for (const [, first = '', second = ''] of section.matchAll(/^\| ([^|]*)\| (`[^|]*)\|/gm)) {
    if (first.trim() !== '') commands = first.split(',').map((name) => name.replaceAll('`', '').trim());
    for (const command of commands) {
      const fields = found.get(command) ?? new Set();
      for (const [, field = ''] of second.matchAll(/`([^`]+)`/g)) fields.add(field);
      found.set(command, fields);
    }
  }
  return found;
}

/** Names a URL in the first key slot of an image, as one has that was made for a key from a server. */
function nameUrl(image: string): void {
  const header = JSON.parse(fs.readFileSync(at(image, 'ckptfs.json'), 'utf8'));
  header.slots[0].header.url = 'https://keys.example.com/k';
  fs.writeFileSync(at(image, 'ckptfs.json'), `${JSON.stringify(header, null, 2)}\n`);
}

/** Notes what is said of directories that CRIU encrypted: one with a name that is not UTF-8, and with damage. */
function noteCriu(): void {
  const { encrypted, key: pem } = criuCase('loop');
  const damaged = Buffer.from(`${at('dump')}/\xff`, 'latin1');
  fs.mkdirSync(at('dump'));
  fs.cpSync(criuCase('page-server').encrypted, at('dump', 'page-server'), { recursive: true });
  fs.mkdirSync(damaged);
  for (const name of fs.readdirSync(encrypted)) {
    fs.copyFileSync(`${encrypted}/${name}`, Buffer.concat([damaged, Buffer.from(`/${name}`)]));
  }
  fs.truncateSync(Buffer.concat([damaged, Buffer.from('/files.img')]), 60);
  for (const command of ['info', 'verify']) {
    note(`${command} of what CRIU encrypted`, terminal.run(command, 'dump', '--json', '-i', pem));
  }
}

/** Damages what a file of more than 64 KiB has for itself. */
function damage(image: string): void {
  for (const name of fs.readdirSync(at(image, 'objects'), { recursive: true, encoding: 'utf8' })) {
    const path = at(image, 'objects', name);
    if (!fs.statSync(path).isFile() || fs.statSync(path).size < 100_000) continue;
    const fd = fs.openSync(path, 'r+');
    fs.writeSync(fd, 'damage', fs.statSync(path).size - 20_000);
    fs.closeSync(fd);
  }
}

describeIf(['root', 'fuse', 'namespaces', 'getfattr', 'pykmip', 'dockerRegistry'], 'a line of JSON', () => {
  beforeAll(async () => {
    kms = await PyKmip.start();
    registry = await Registry.start();
    base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-json-')));
    terminal = new Terminal(base);
    for (const name of ['mnt', 'src', 'ramfs', 'bin']) fs.mkdirSync(at(name));
    fs.writeFileSync(Buffer.concat([Buffer.from(at('src/')), otherName]), Buffer.alloc(200_000, 'a'));
    fs.symlinkSync(otherName, at('src/link'));
    runProgram('setfattr', '-n', 'user.note', '-v', 'x', at('src'));
    runProgram('mknod', at('src/null'), 'c', '1', '3');
    runProgram('mount', '-t', 'ramfs', 'ramfs', at('ramfs'));
  });

  afterAll(async () => {
    await kms.remove();
    await registry.remove();
    for (const name of ['mnt', 'ramfs']) clear(at(name));
    fs.rmSync(base, { recursive: true });
  });

  test('has the fields that docs/cli.md names, and no others', async () => {
    run('keygen', '-o', 'key');
    const certificate = ['-newkey', 'ed25519', '-nodes', '-keyout', at('signer.pem'), '-out', at('signer.crt')];
    runProgram('openssl', 'req', '-x509', ...certificate, '-subj', '/CN=signer');
    const signing = ['--sign', 'signer.pem', '--sign-cert', 'signer.crt'];
    run('encrypt', 'src', 'enc', ...key, '--skip-special', ...signing);
    run('sign', 'enc', ...key, ...signing);
    const trusting = ['--signature-only', '--trusted', 'signer.crt'];
    note('verify --signature-only', terminal.run('verify', 'enc', '--json', ...trusting));
    run('encrypt', 'src', 'with-default-key', '--skip-special', '--compress', 'auto', ...signing);
    run('reencrypt', 'enc', 'again', ...key, '-r', 'file:key', '--retire', ...signing);
    run('info', 'again');
    run('info', 'with-default-key');
    const host = ['-newkey', 'rsa:2048', '-nodes', '-keyout', at('host.pem'), '-out', at('host.crt')];
    runProgram('openssl', 'req', '-x509', ...host, '-subj', '/CN=host');
    run('key', 'add', 'again', ...key, '-r', 'host.crt', '--label', 'host');
    nameUrl('again');
    run('key', 'list', 'again');
    note('key cache', terminal.run('key', 'cache', 'enc', '--json', '--ttl', '1h', ...key));
    note('key drop', terminal.run('key', 'drop', 'enc', '--json'));
    const server = ['--json', ...kms.options()];
    note('kms create', terminal.run('kms', 'create', kms.address, 'fleet', ...server));
    note('kms list', terminal.run('kms', 'list', kms.address, ...server));
    run('shred', 'again', '--image-id', JSON.parse(terminal.run('info', 'again', '--json').stdout).imageId);
    run('info', 'enc');
    run('info', 'enc', ...key);
    run('ls', 'enc', '-R', ...key);
    fs.chmodSync(at('key'), 0o644);
    run('decrypt', 'enc', 'ramfs/clear', ...key);
    run('export', 'enc', '-o', 'exported.tar', ...key);
    fs.chmodSync(at('key'), 0o600);
    run('ls', 'enc', '-k', 'gone');
    const leased = ['--key', 'cmd:test -e denied && exit 77; cat key', '--key-lease', '1s', '--on-revoked', 'keep'];
    run('mount', 'enc', 'mnt', '--key-ttl', '8h', ...leased);
    fs.writeFileSync(at('denied'), '');
    await until('its key is revoked', () => statusOf(at('mnt'))?.daemon?.key.lease?.renewal?.reason !== undefined);
    run('status');
    run('lock', 'mnt');
    run('unlock', 'mnt', ...key);
    run('umount', 'mnt');
    run('mount', '--write', 'new', 'mnt');
    run('remount', 'mnt');
    run('umount', 'mnt');
    run('seal', 'new');
    run('recover', 'new');
    note('exec', terminal.run('exec', '--json', '--write', 'made', '--', 'true'));
    const url = `oci://${registry.host}/web:1`;
    run('push', 'enc', url);
    run('pull', url, 'pulled');
    run('mount', url, 'mnt', ...key, '--remote-cache', 'cache');
    run('status');
    note('profile', terminal.run('profile', 'record', 'mnt', '--json', '--out', 'profile'));
    run('umount', 'mnt');
    note('remote ls', terminal.run('remote', 'ls', url, '--json'));
    note('remote rm', terminal.run('remote', 'rm', url, '--json'));
    noteCriu();
    damage('enc');
    fs.writeFileSync(at('enc/.DS_Store'), '');
    run('verify', 'enc', ...key);
    fs.symlinkSync(process.execPath, at('bin/node'));
    const { stdout, stderr } = spawnSync(ckptfsProgram, ['doctor', '--json', '--quick'], {
      timeout: PATIENCE,
      env: { PATH: at('bin') },
      encoding: 'utf8',
    });
    note('doctor', { status: 0, stdout, stderr });
    note('config', configOfAll());
    const table = documented();
    expect([...printed.keys()].sort()).toEqual([...table.keys()].sort());
    for (const [command, fields] of table) {
      expect([command, [...(printed.get(command) ?? [])].sort()]).toEqual([command, [...fields].sort()]);
    }
  });

  test('of exec is the last one on standard error, and tells what became of the image', () => {
    const last = (...words: string[]): unknown => {
      const { status, stdout, stderr } = terminal.run('exec', '--json', ...words);
      return [status, stdout, JSON.parse(stderr.trimEnd().split('\n').at(-1) ?? '')];
    };
    const imageId = expect.stringMatching(/^[0-9a-f]{32}$/);
    expect(last('--write', 'other', ...key, '--', 'sh', '-c', 'echo a > {}/a; echo said')).toEqual([
      0,
      'said\n',
      { result: { imageId, exitCode: 0, write: true, sealed: true } },
    ]);
    expect(last('other', ...key, '--', 'false')).toEqual([
      1,
      '',
      { result: { imageId, exitCode: 1, write: false, sealed: true } },
    ]);
    expect(last('--write', 'never', ...key, '--', 'false')).toEqual([
      1,
      '',
      { result: { imageId: null, exitCode: 1, write: true, sealed: false } },
    ]);
    expect(last('gone', ...key, '--', 'true')).toEqual([
      125,
      '',
      { error: expect.objectContaining({ code: 'io', exitCode: 125 }) },
    ]);
  });
});
