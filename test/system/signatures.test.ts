// Goal: images are signed and signatures are demanded as docs/cli.md says: nothing of an image that is not signed as
// demanded is given out, by any command.
// Method: the real commands, keys and certificates of openssl and ssh-keygen, and kernel mounts.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { built, clear } from './support/mounts.ts';
import { describeIf } from './support/requirements.ts';
import { failure, success, Terminal, type Transcript } from './support/transcript.ts';

const base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-signatures-'));
const terminal = new Terminal(base);
const at = (name: string): string => join(base, name);
const run = (...words: string[]): Transcript => terminal.runWithoutIds(...words);
const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe', cwd: base });
const key = ['-k', 'key'];
const demand = (...trusted: string[]) => ['--require-signature', ...trusted.flatMap((who) => ['--trusted', who])];

function copy(from: string, to: string): void {
  fs.rmSync(at(to), { recursive: true, force: true });
  fs.cpSync(at(from), at(to), { recursive: true });
}

beforeAll(() => {
  for (const name of ['src', 'mnt']) fs.mkdirSync(at(name));
  fs.writeFileSync(at('src/core-1.img'), 'core');
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-nodes'];
  openssl('req', '-x509', ...curve, '-keyout', 'ca.key', '-subj', '/CN=our authority', '-out', 'ca.crt', '-days', '2');
  fs.writeFileSync(at('ext'), 'keyUsage=digitalSignature\n');
  openssl('req', ...curve, '-keyout', 'signer.pem', '-subj', '/CN=signer', '-out', 'signer.csr');
  const by = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'ext', '-days', '1'];
  openssl('x509', '-req', '-in', 'signer.csr', ...by, '-out', 'signer.crt');
  openssl('genpkey', '-algorithm', 'ed25519', '-out', 'second.pem');
  openssl('pkey', '-in', 'second.pem', '-pubout', '-out', 'second.pub');
  fs.chmodSync(at('signer.pem'), 0o600);
  fs.chmodSync(at('second.pem'), 0o600);
  expect(terminal.run('keygen', '-o', 'key').status).toBe(0);
  const signing = ['--sign', 'signer.pem', '--sign-cert', 'signer.crt'];
  expect(run('encrypt', 'src', 'signed', ...key, ...signing, '-q')).toEqual(success());
  copy('signed', 'unsigned');
  fs.rmSync(at('unsigned/signatures'));
});

afterEach(() => clear(at('mnt')));
afterAll(() => fs.rmSync(base, { recursive: true }));

describe('a signed image', () => {
  test('is read by those who trust the authority, and says who signed it', () => {
    expect(run('cat', 'signed', 'core-1.img', ...key, ...demand('ca.crt'))).toEqual(success('core'));
    const signer = /^signature +ES384 at [-0-9T:Z]{20} by [\w-]{43}, CN=signer;/m;
    expect(run('info', 'signed').stdout).toMatch(signer);
    const checked = run('verify', 'signed', '--signature-only', '--trusted', 'ca.crt');
    expect(checked.stdout).toMatch(/^signed: seal 1, by the certificate of CN=signer \(ES384, [\w-]{43}\), at /);
    expect(checked).toMatchObject({ status: 0, stderr: '' });
    expect(run('verify', 'signed', ...key, '--strict')).toEqual(success('intact: 1 object, 1 chunk\n'));
  });

  test('gets another signature, and each is enough', () => {
    expect(run('sign', 'signed', ...key, '--sign', 'second.pem')).toEqual(
      success('image ID: seal 1 has 2 signatures\n'),
    );
    const words = ['verify', 'signed', '--signature-only', '--json', '--trusted', 'second.pub'];
    expect(JSON.parse(terminal.run(...words).stdout)).toMatchObject({ epoch: 1, algorithm: 'EdDSA' });
    copy('unsigned', 'sealed');
    expect(run('seal', 'sealed', ...key, '--sign', 'second.pem')).toEqual(success('image ID: sealed\n'));
    expect(run('verify', 'sealed', '--signature-only', '--trusted', 'second.pub')).toMatchObject({ status: 0 });
  });

  test('is refused by every command that reads it, when the manifest is another', () => {
    copy('signed', 'altered');
    expect(run('encrypt', 'src', 'other', ...key, '-q')).toEqual(success());
    fs.copyFileSync(at('other/manifest'), at('altered/manifest'));
    const refused = `altered is not what was signed: its manifest is another. Do not use it. Get the image again from where it was signed.`;
    for (const words of [
      ['cat', 'altered', 'core-1.img'],
      ['decrypt', 'altered', 'out'],
      ['info', 'altered'],
    ]) {
      expect(run(...words, ...key, ...demand('ca.crt'))).toEqual(failure(13, refused));
    }
    expect(fs.existsSync(at('out'))).toBe(false);
  });
});

test('what is demanded must make sense', () => {
  expect(run('cat', 'signed', 'core-1.img', ...key, '--require-signature')).toMatchObject({ status: 2 });
  expect(run('ls', 'signed', ...key, '--trusted', 'ca.crt')).toMatchObject({ status: 2 });
  expect(run('sign', 'signed', ...key)).toMatchObject({ status: 2 });
});

test('verify names signatures of another seal as damage', () => {
  copy('unsigned', 'misfit');
  expect(run('encrypt', 'src', 'foreign', ...key, '--sign', 'second.pem', '-q')).toEqual(success());
  fs.copyFileSync(at('foreign/signatures'), at('misfit/signatures'));
  const { status, stdout } = run('verify', 'misfit', ...key);
  expect([status, stdout.split('\n')[0]]).toEqual([
    23,
    'object signatures: the signatures are of another image, or of another seal of this one',
  ]);
});

describeIf(['root', 'fuse'], 'a mount', () => {
  test('is made of a signed image, and of no other', async () => {
    expect(run('mount', 'unsigned', 'mnt', ...key, ...demand('second.pub'))).toEqual(
      failure(13, `unsigned is not signed. Someone who is trusted signs it with "ckptfs sign", after each seal.`),
    );
    expect(run('mount', 'signed', 'mnt', ...key, '-o', 'require_signature,trusted=ca.crt')).toEqual(success());
    expect(fs.readFileSync(at('mnt/core-1.img'), 'utf8')).toBe('core');
    clear(at('mnt'));
    expect(run('exec', 'signed', ...key, ...demand('ca.crt'), '--', 'cat', '{}/core-1.img')).toEqual(success('core'));
    expect(run('mount', 'signed', 'mnt', ...key, '--write', ...demand('ca.crt'))).toMatchObject({ status: 2 });
  });

  test('serves no other manifest than the one whose signature was verified', async () => {
    const { mountImage, readKeyFile, symmetricKeyProvider, unlockImage } =
      await built<typeof import('../../src/index.ts')>('index.js');
    const imageKey = await unlockImage(at('signed'), {
      keys: [symmetricKeyProvider(readKeyFile(at('key')).key)],
    });
    const options = { location: at('signed'), mountPoint: at('mnt'), imageKey, logFile: at('log') };
    await expect(mountImage({ ...options, signedManifest: new Uint8Array(32) })).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('another manifest was put in place'),
    });
    imageKey.wipe();
  });

  test('that is written leaves an unsigned image; an older signed one is refused by who has seen the newer one', () => {
    const seen = [...demand('second.pub'), '--epoch-file', 'epochs'];
    copy('signed', 'written');
    expect(run('cat', 'written', 'core-1.img', ...key, ...seen)).toEqual(success('core'));
    copy('written', 'older');
    expect(run('mount', 'written', 'mnt', ...key, '--write')).toEqual(success());
    fs.writeFileSync(at('mnt/core-1.img'), 'newer');
    expect(run('umount', 'mnt')).toEqual(success());
    expect(fs.existsSync(at('written/signatures'))).toBe(false);
    expect(run('cat', 'written', 'core-1.img', ...key, ...seen)).toMatchObject({ status: 13, stdout: '' });
    expect(run('sign', 'written', ...key, '--sign', 'second.pem')).toEqual(
      success('image ID: seal 2 has 1 signature\n'),
    );
    expect(run('cat', 'written', 'core-1.img', ...key, ...seen)).toEqual(success('newer'));
    const { status, stderr } = run('cat', 'older', 'core-1.img', ...key, ...seen);
    expect(status).toBe(13);
    expect(stderr).toContain('is of seal 1; this host has seen seal 2 of it (epochs)');
    expect(run('ls', 'older', ...key, ...demand('second.pub'), '--min-epoch', '2')).toMatchObject({ status: 13 });
  });
});
