// Goal: an image of suite fips is made, written, sealed and re-encrypted by approved algorithms alone, also where
// OpenSSL's FIPS provider computes them, and a host can demand that.
// Method: the built commands and real mounts; the provider of Debian, switched on by a configuration of OpenSSL.
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Finding } from '../../src/cli/doctor/check.ts';
import { ckptfsProgram, clear } from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { describeIf, fipsConfiguration, systemTest, toolEnvironment } from './support/requirements.ts';
import { Terminal, type Transcript } from './support/transcript.ts';

let base: string;
let terminal: Terminal;
const at = (name: string): string => join(base, name);
const run = (...words: string[]): Transcript => terminal.run(...words);

beforeAll(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-fips-')));
  terminal = new Terminal(base);
  for (const name of ['src', 'mnt']) fs.mkdirSync(at(name));
  fs.writeFileSync(at('src/core-1.img'), 'core');
  fs.writeFileSync(at('src/pages-1.img'), Buffer.alloc(100_000, 7));
  fs.writeFileSync(at('pass'), 'correct horse battery staple\n', { mode: 0o600 });
  fs.writeFileSync(at('fips.json'), '{"suite": "fips"}', { mode: 0o600 });
  const kinds = { rsa: ['RSA', 'rsa_keygen_bits:2048'], p256: ['EC', 'ec_paramgen_curve:P-256'], x25519: ['X25519'] };
  for (const [name, [algorithm = '', option]] of Object.entries(kinds)) {
    const how = option === undefined ? [] : ['-pkeyopt', option];
    execFileSync('openssl', ['genpkey', '-quiet', '-algorithm', algorithm, ...how, '-out', at(`${name}.pem`)]);
    execFileSync('openssl', ['pkey', '-in', at(`${name}.pem`), '-pubout', '-out', at(`${name}.pub`)]);
    fs.chmodSync(at(`${name}.pem`), 0o600);
  }
  expect(run('keygen', '-o', 'k').status).toBe(0);
  expect(run('encrypt', 'src', 'enc', '-k', 'k', '--suite', 'fips')).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('aes-256-xts of suite fips, in enc'),
  });
});

afterAll(() => {
  clear(at('mnt'));
  fs.rmSync(base, { recursive: true });
});

const suiteOf = (image: string): unknown => JSON.parse(run('info', image, '--json').stdout).suite;

describe('an image of suite fips', () => {
  test('says so, and ciphers and recipients of other suites are refused by name', () => {
    expect(suiteOf('enc')).toBe('fips');
    expect(run('info', 'enc').stdout).toMatch(/^suite +fips$/m);
    expect(run('encrypt', 'src', 'new', '-k', 'k', '--suite', 'fips', '--cipher', 'none')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('cipher none is not of suite fips, which has aes-256-xts and aes-256-gcm'),
    });
    const foreign = {
      status: 2,
      stderr: expect.stringContaining('public-key x25519.pub: its algorithm is not of suite'),
    };
    const label = ['--label', 'x25519.pub'];
    const toX25519 = ['-r', 'x25519.pub', ...label];
    expect(run('encrypt', 'src', 'new', '--suite', 'fips', ...toX25519)).toMatchObject(foreign);
    expect(run('key', 'add', 'enc', '-k', 'k', ...toX25519)).toMatchObject(foreign);
    expect(run('reencrypt', 'enc', 'new', '-k', 'k', ...toX25519)).toMatchObject(foreign);
    expect(fs.existsSync(at('new'))).toBe(false);
  });

  test('another suite is taken away by reencrypt, in both directions', () => {
    expect(run('encrypt', 'src', 'old', '-k', 'k', '-q', '--cipher', 'chacha20-poly1305').status).toBe(0);
    const again = ['reencrypt', 'old', '-k', 'k', '-r', 'file:k', '-q'];
    expect(run(...again, '--suite', 'fips')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('of suite fips'),
    });
    expect(run(...again, '--suite', 'fips', '--cipher', 'aes-256-gcm', '--policy', 'fips.json')).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(suiteOf('old')).toBe('fips');
    expect(run('verify', 'old', '-k', 'k').status).toBe(0);
    expect(run(...again)).toMatchObject({ status: 0, stderr: '' });
    expect(suiteOf('old')).toBe('fips');
    expect(run(...again, '--suite', 'default').status).toBe(0);
    expect(suiteOf('old')).toBe('default');
    expect(run('cat', 'old', 'core-1.img', '-k', 'k').stdout).toBe('core');
  });

  test('is all that a policy of that suite opens and makes', () => {
    const policy = ['-k', 'k', '--policy', 'fips.json'];
    expect(run('encrypt', 'src', 'plain', '-k', 'k', '-q').status).toBe(0);
    const refused = { status: 14, stderr: expect.stringContaining('images of suite default; it allows suite fips') };
    expect(run('cat', 'plain', 'core-1.img', ...policy)).toMatchObject(refused);
    expect(run('encrypt', 'src', 'new', ...policy)).toMatchObject(refused);
    expect(run('mount', 'new', 'mnt', '--write', ...policy)).toMatchObject(refused);
    expect(fs.existsSync(at('new'))).toBe(false);
    expect(run('cat', 'enc', 'core-1.img', ...policy)).toMatchObject({ status: 0, stdout: 'core' });
  });
});

describeIf(['fuse', 'root'], 'a mount of suite fips', () => {
  test('is made, written, sealed, verified and written again', () => {
    const words = ['mount', 'written', 'mnt', '-k', 'k', '--write', '-q'];
    expect(run(...words, '--suite', 'fips')).toMatchObject({ status: 0, stderr: '' });
    fs.copyFileSync(at('src/pages-1.img'), at('mnt/pages-1.img'));
    expect(run('umount', 'mnt').status).toBe(0);
    expect(suiteOf('written')).toBe('fips');
    expect(run(...words, '--suite', 'fips')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('--suite is for'),
    });
    expect(run(...words)).toMatchObject({ status: 0, stderr: '' });
    fs.appendFileSync(at('mnt/pages-1.img'), 'more');
    expect(run('umount', 'mnt').status).toBe(0);
    expect(run('verify', 'written', '-k', 'k').status).toBe(0);
    const whole = Buffer.concat([fs.readFileSync(at('src/pages-1.img')), Buffer.from('more')]);
    expect(terminal.bytes('cat', 'written', 'pages-1.img', '-k', 'k').equals(whole)).toBe(true);
    const made = run(
      'exec',
      'dumped',
      '-k',
      'k',
      '--write',
      '--suite',
      'fips',
      '-q',
      '--',
      'cp',
      at('src/core-1.img'),
      '{}',
    );
    expect(made).toMatchObject({ status: 0, stderr: '' });
    expect(run('cat', 'dumped', 'core-1.img', '-k', 'k', '--policy', 'fips.json').stdout).toBe('core');
  });
});

describeIf(['fipsProvider'], "OpenSSL's FIPS provider", () => {
  const environment = { ...toolEnvironment, OPENSSL_CONF: fipsConfiguration };
  const byProvider = (...words: readonly string[]) =>
    spawnSync(ckptfsProgram, words, { cwd: base, env: environment, encoding: 'utf8', timeout: PATIENCE });

  test('computes every vector of the suite, by both implementations', () => {
    const program = fileURLToPath(new URL('support/fips-vectors.ts', import.meta.url));
    const words = ['--import', 'tsx', program];
    const printed = execFileSync(process.execPath, words, { env: environment, encoding: 'utf8', timeout: PATIENCE });
    expect(JSON.parse(printed)).toEqual({
      provider: { name: 'fips', version: expect.stringMatching(/^3\./), isFips: true },
      count: expect.any(Number),
      wrong: [],
    });
    expect(JSON.parse(printed).count).toBeGreaterThan(100);
  });

  test('opens what was made without it, and makes what opens without it, for each kind of slot', () => {
    expect(byProvider('cat', 'enc', 'core-1.img', '-k', 'k')).toMatchObject({ status: 0, stdout: 'core', stderr: '' });
    const recipients = ['-k', 'k', '-r', 'rsa.pub', '-r', 'p256.pub', '-r', `passphrase:${at('pass')}`];
    const made = byProvider('encrypt', 'src', 'by-provider', '--suite', 'fips', '-q', ...recipients);
    expect(made).toMatchObject({ status: 0, stderr: '' });
    const keys = [
      ['-k', 'k'],
      ['-i', 'rsa.pem'],
      ['-i', 'p256.pem'],
      ['--passphrase-file', 'pass'],
    ] as const;
    for (const key of keys) {
      const words = ['cat', 'by-provider', 'core-1.img', ...key];
      expect(byProvider(...words)).toMatchObject({ status: 0, stdout: 'core', stderr: '' });
      expect(run(...words)).toMatchObject({ status: 0, stdout: 'core', stderr: '' });
    }
  });

  systemTest(['fuse', 'root'], 'computes in the daemon of a mount, too', () => {
    const mounted = byProvider('mount', 'enc', 'mnt', '-k', 'k', '--json');
    expect(mounted).toMatchObject({ status: 0, stderr: '' });
    const { pid } = JSON.parse(mounted.stdout) as { readonly pid: number };
    expect(fs.readFileSync(`/proc/${pid}/maps`, 'utf8')).toContain('/fips.so');
    expect(fs.readFileSync(at('mnt/core-1.img'), 'utf8')).toBe('core');
    expect(run('umount', 'mnt').status).toBe(0);
    // A daemon has another directory, and would compute without it.
    const relative = spawnSync(ckptfsProgram, ['mount', at('enc'), at('mnt'), '--key', `file:${at('k')}`], {
      cwd: dirname(fipsConfiguration),
      env: { ...environment, OPENSSL_CONF: basename(fipsConfiguration) },
      encoding: 'utf8',
      timeout: PATIENCE,
    });
    expect(relative).toMatchObject({ status: 33, stderr: expect.stringContaining('and would not in the daemon') });
    expect(fs.readdirSync(at('mnt'))).toEqual([]);
  });

  test('has no other suite, is what doctor names, and what a policy can demand', () => {
    fs.writeFileSync(at('provider.json'), '{"suite": "fips", "fipsProvider": true}', { mode: 0o600 });
    const cat = ['cat', 'enc', 'core-1.img', '-k', 'k', '--policy', 'provider.json'];
    expect(byProvider(...cat)).toMatchObject({ status: 0, stdout: 'core' });
    expect(run(...cat)).toMatchObject({ status: 14, stderr: expect.stringContaining('no FIPS provider of OpenSSL') });
    expect(byProvider('encrypt', 'src', 'none', '-k', 'k')).toMatchObject({
      status: 33,
      stderr: expect.stringContaining('no ChaCha20-Poly1305'),
    });
    const findings = JSON.parse(byProvider('doctor', '--quick', '--json').stdout) as Finding[];
    expect(findings.find(({ subject }) => subject === 'FIPS provider of OpenSSL')).toMatchObject({
      level: 'ok',
      found: expect.stringMatching(/^active: fips 3\./),
    });
  });
});
