// Goal: a host sets by /etc/ckptfs what its commands use and refuse, and no option and no user loosens it.
// Method: the built command, in a mount namespace with an /etc/ckptfs of its own.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type CommandResult, type Namespace, openNamespace } from './support/namespace.ts';
import { describeIf } from './support/requirements.ts';

const program = fileURLToPath(new URL('../../bin/ckptfs', import.meta.url));
const base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-policy-'));
const at = (name: string): string => join(base, name);
const policy = '/etc/ckptfs/policy.json';
let host: Namespace;

/** Runs a command with a home of its own, in the directory of the test. */
function run(words: readonly string[], ...variables: readonly string[]): CommandResult {
  const environment = [`XDG_CONFIG_HOME=${at('home')}`, ...variables];
  return host.run('env', '-C', base, ...environment, program, ...words);
}

function write(path: string, value: unknown): void {
  const result = host.run('sh', '-c', 'printf %s "$2" > "$1" && chmod 644 "$1"', 'sh', path, JSON.stringify(value));
  if (result.status !== 0) throw new Error(result.stderr);
}

const cat = ['cat', 'enc', 'core-1.img'];

describeIf(['fuse', 'namespaces'], 'the files of a host', () => {
  beforeAll(async () => {
    host = await openNamespace();
    // The host of the tests may have no such directory: an overlay of /etc leaves it as it is.
    const overlay = `mkdir -p ${at('upper')} ${at('work')} && mount -t tmpfs none ${at('upper')} && mkdir ${at('upper')}/u ${at('upper')}/w && mount -t overlay -o lowerdir=/etc,upperdir=${at('upper')}/u,workdir=${at('upper')}/w overlay /etc && mkdir -p /etc/ckptfs && chmod 755 /etc/ckptfs`;
    const prepared = host.run('sh', '-c', overlay);
    if (prepared.status !== 0) throw new Error(prepared.stderr);
    for (const name of ['src', 'mnt', 'home']) fs.mkdirSync(at(name));
    fs.writeFileSync(at('src/core-1.img'), 'core');
    execFileSync('openssl', ['genpkey', '-algorithm', 'x25519', '-out', at('host.pem')]);
    execFileSync('openssl', ['pkey', '-in', at('host.pem'), '-pubout', '-out', at('host.pub')]);
    execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', at('signer.pem')]);
    execFileSync('openssl', ['pkey', '-in', at('signer.pem'), '-pubout', '-out', at('signer.pub')]);
    execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', at('other.pem')]);
    execFileSync('openssl', ['pkey', '-in', at('other.pem'), '-pubout', '-out', at('other.pub')]);
    for (const name of ['host.pem', 'signer.pem']) fs.chmodSync(at(name), 0o600);
    expect(run(['keygen', '-o', 'k']).status).toBe(0);
    expect(run(['encrypt', 'src', 'enc', '-k', 'k', '-r', 'host.pub', '-q']).status).toBe(0);
  });

  beforeEach(() => {
    host.run('sh', '-c', 'rm -f /etc/ckptfs/*; chmod 755 /etc/ckptfs');
  });

  afterAll(async () => {
    await host.close();
    fs.rmSync(base, { recursive: true });
  });

  test('a configuration names keys for opening, and recipients for new images', () => {
    write('/etc/ckptfs/config.json', { privateKey: [at('host.pem')], recipient: [at('host.pub')] });
    expect(run(cat)).toMatchObject({ status: 0, stdout: 'core' });
    expect(run(['encrypt', 'src', 'made', '-q'])).toMatchObject({ status: 0, stderr: '' });
    expect(run(['cat', 'made', 'core-1.img'])).toMatchObject({ stdout: 'core' });
    expect(run(['mount', 'enc', 'mnt'])).toMatchObject({ status: 0, stderr: '' });
    expect(host.run('cat', at('mnt/core-1.img')).stdout).toBe('core');
    expect(run(['umount', 'mnt']).status).toBe(0);
    expect(run(cat, 'CKPTFS_KEY=file:none')).toMatchObject({ status: 10 });
    expect(run(cat, 'CKPTFS_KEY=file:k')).toMatchObject({ status: 0, stdout: 'core' });
    expect(run(['config']).stdout).toBe(
      `--private-key  ${at('host.pem')}  /etc/ckptfs/config.json\n--recipient    ${at('host.pub')}  /etc/ckptfs/config.json\n`,
    );
  });

  test('an image is taken away from a cipher that is not allowed any more, and to no such cipher', () => {
    for (const name of ['chacha', 'resumed']) {
      const words = ['encrypt', 'src', name, '-k', 'k', '--cipher', 'chacha20-poly1305', '-q'];
      expect(run(words)).toMatchObject({ status: 0, stderr: '' });
    }
    const inPlace = ['reencrypt', 'chacha', '-k', 'k', '-r', 'host.pub', '-q'];
    write(policy, { ciphers: ['aes-256-gcm'], keySources: ['file'] });
    expect(run(['cat', 'chacha', 'core-1.img', '-k', 'k'])).toMatchObject({ status: 14, stdout: '' });
    expect(run(inPlace)).toMatchObject({ status: 14 });
    expect(run([...inPlace, '--cipher', 'aes-128-xts'])).toMatchObject({ status: 14 });
    expect(run(['reencrypt', 'chacha', '-i', 'host.pem', '-r', 'host.pub', '--cipher', 'aes-256-gcm'])).toMatchObject({
      status: 14,
    });
    expect(run([...inPlace, '--cipher', 'aes-256-gcm'])).toMatchObject({ status: 0, stderr: '' });
    const copy = ['reencrypt', 'resumed', 'copied', '-k', 'k', '-r', 'file:k', '-q'];
    expect(run([...copy, '--cipher', 'aes-256-gcm'])).toMatchObject({ status: 0, stderr: '' });
    expect(run(['cat', 'copied', 'core-1.img', '-k', 'k'])).toMatchObject({ status: 0, stdout: 'core' });
  });

  test('a key that the command line names is used without a look at the configuration', () => {
    write('/etc/ckptfs/config.json', { keyFile: ['relative'] });
    expect(run([...cat, '-k', 'k'])).toMatchObject({ status: 0, stdout: 'core' });
    expect(run(cat)).toMatchObject({
      status: 2,
      stderr: 'ckptfs: configuration /etc/ckptfs/config.json: keyFile: a path begins with /.\n',
    });
  });

  test('a policy forbids ciphers and sources of keys, and a further one only tightens', () => {
    write(policy, { ciphers: ['aes-256-gcm'] });
    const refused = {
      status: 14,
      stderr: expect.stringContaining(`policy ${policy} forbids images of cipher aes-256-xts`),
    };
    expect(run([...cat, '-k', 'k'])).toMatchObject(refused);
    expect(run(['mount', 'enc', 'mnt', '-k', 'k'])).toMatchObject(refused);
    expect(run(['encrypt', 'src', 'new', '-k', 'k'])).toMatchObject(refused);
    expect(fs.existsSync(at('new'))).toBe(false);
    fs.writeFileSync(at('loose.json'), '{"ciphers": ["aes-256-xts"]}', { mode: 0o600 });
    expect(run([...cat, '-k', 'k', '--policy', 'loose.json'])).toMatchObject(refused);
    write(policy, { keySources: ['private-key'] });
    expect(run([...cat, '-k', 'k'])).toMatchObject({ status: 14, stderr: expect.stringContaining('(file)') });
    expect(run([...cat, '-i', 'host.pem'])).toMatchObject({ status: 0, stdout: 'core' });
    expect(run([...cat, '-i', 'host.pem', '--policy', 'loose.json'])).toMatchObject({ status: 0 });
    const shred = ['shred', 'enc', '--image-id', '0'.repeat(32), '--destroy-key', 'pkcs11:token=t'];
    expect(run(shred)).toMatchObject({ status: 14, stderr: expect.stringContaining('(pkcs11)') });
  });

  test('a policy that requires signatures counts for everything that is read', () => {
    write(policy, { requireSignature: true, trusted: [at('signer.pub')] });
    const unsigned = { status: 13, stderr: expect.stringContaining('enc is not signed') };
    expect(run([...cat, '-k', 'k'])).toMatchObject(unsigned);
    expect(run(['mount', 'enc', 'mnt', '-k', 'k'])).toMatchObject(unsigned);
    expect(run(['mount', 'enc', 'mnt', '-k', 'k', '--write'])).toMatchObject({
      status: 14,
      stderr: expect.stringContaining('forbids writing into an image that exists'),
    });
    expect(run(['sign', 'enc', '-k', 'k', '--sign', 'signer.pem', '-q'])).toMatchObject({ status: 0, stderr: '' });
    expect(run([...cat, '-k', 'k'])).toMatchObject({ status: 0, stdout: 'core' });
    const other = ['--require-signature', '--trusted', 'other.pub'];
    expect(run([...cat, '-k', 'k', ...other])).toMatchObject({ status: 13 });
    write(policy, { requireSignature: true, trusted: [at('signer.pub')], minEpoch: 2 });
    expect(run([...cat, '-k', 'k'])).toMatchObject({ status: 13, stderr: expect.stringContaining('seal 2') });
  });

  test('a policy that a user could have changed forbids everything', () => {
    write(policy, {});
    host.run('chmod', '666', policy);
    const refused = { status: 14, stderr: expect.stringContaining(`policy ${policy}: other users can change it`) };
    for (const words of [[...cat, '-k', 'k'], ['mount', 'enc', 'mnt', '-k', 'k'], ['config']]) {
      expect(run(words)).toMatchObject(refused);
    }
    host.run('sh', '-c', `rm ${policy}; chmod 777 /etc/ckptfs`);
    expect(run([...cat, '-k', 'k'])).toMatchObject({ status: 14, stderr: expect.stringContaining('the directory') });
  });
});
