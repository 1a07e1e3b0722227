import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CkptfsError } from '../../../../src/base/errors.ts';
import { publicJwkOf, thumbprint, verifySignature } from '../../../../src/crypto/public-key.ts';
import { Secret } from '../../../../src/crypto/secret.ts';
import { embedCertificates, SignerFile } from '../../../../src/keys/signers/signer-file.ts';
import { readTrustedSigners } from '../../../../src/keys/signers/trusted-signers.ts';
import { readSshKeyLine } from '../../../../src/keys/ssh/public-key-line.ts';

const directory = mkdtempSync(join(tmpdir(), 'ckptfs-signers-'));
const at = (name: string): string => join(directory, name);
const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe', cwd: directory });
afterAll(() => rmSync(directory, { recursive: true }));

/** Makes a key, and a certificate of it by an authority. */
function issue(name: string, authority: string, { days = '1', usage = 'digitalSignature' } = {}): void {
  writeFileSync(at(`${name}.ext`), `keyUsage=${usage}\n`);
  openssl('genpkey', '-algorithm', 'ed25519', '-out', `${name}.key`);
  openssl('req', '-new', '-key', `${name}.key`, '-subj', `/CN=${name}`, '-out', `${name}.csr`);
  const by = ['-CA', `${authority}.crt`, '-CAkey', `${authority}.key`, '-CAcreateserial', '-extfile', `${name}.ext`];
  openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-days', days, '-out', `${name}.crt`);
}

beforeAll(() => {
  for (const name of ['ca', 'other-ca']) {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
    openssl('req', '-x509', ...key, '-subj', `/CN=${name}`, '-out', `${name}.crt`, '-days', '2');
  }
  issue('signer', 'ca');
  issue('expired', 'ca', { days: '-1' });
  issue('server', 'ca', { usage: 'keyEncipherment' });
  openssl('pkey', '-in', 'signer.key', '-pubout', '-out', 'signer.pub');
});

const der = (name: string): Buffer => new X509Certificate(readFileSync(at(`${name}.crt`))).raw;
const keyIdOf = (name: string): string => thumbprint(publicJwkOf(new X509Certificate(der(name)).publicKey));

async function verdict(trusted: string[], keyId: string, certificates: Buffer[] = []): Promise<string> {
  try {
    const found = readTrustedSigners(trusted.map(at)).find(keyId, certificates);
    await found?.check();
    return found === undefined ? 'unknown' : 'accepted';
  } catch (error) {
    return String((error as CkptfsError<'untrusted'>).data?.reason ?? error);
  }
}

describe('a signer is trusted', () => {
  test('by a public key, a certificate of its own, or one of its authority', async () => {
    expect(await verdict(['signer.pub'], keyIdOf('signer'))).toBe('accepted');
    expect(await verdict(['signer.crt'], keyIdOf('signer'))).toBe('accepted');
    expect(await verdict(['ca.crt'], keyIdOf('signer'), [der('signer')])).toBe('accepted');
    expect(await verdict(['ca.crt'], keyIdOf('signer'), [der('signer'), der('ca')])).toBe('accepted');
  });

  test('by a file in a directory, beside other files', async () => {
    mkdirSync(at('trust.d'));
    writeFileSync(at('trust.d/README'), 'whom we trust');
    writeFileSync(at('trust.d/ca.pem'), readFileSync(at('ca.crt')));
    writeFileSync(at('trust.d/signer.pem'), readFileSync(at('server.crt')));
    expect(await verdict(['trust.d'], keyIdOf('signer'), [der('signer')])).toBe('accepted');
    expect(await verdict(['trust.d'], keyIdOf('other-ca'), [der('other-ca')])).toBe('unknown-issuer');
  });

  test('by a file in a directory, beside links to nothing and a file that is too large', async () => {
    mkdirSync(at('odd.d'));
    symlinkSync(at('absent'), at('odd.d/dangling'));
    symlinkSync('self', at('odd.d/self'));
    symlinkSync(at('ca.crt/below'), at('odd.d/below'));
    writeFileSync(at('odd.d/large'), '');
    truncateSync(at('odd.d/large'), (4 << 20) + 1);
    writeFileSync(at('odd.d/signer.pub'), readFileSync(at('signer.pub')));
    expect(await verdict(['odd.d'], keyIdOf('signer'))).toBe('accepted');
    expect(() => readTrustedSigners([at('odd.d/dangling')])).toThrow('no such file');
    expect(() => readTrustedSigners([at('odd.d/large')])).toThrow('at most');
  });

  test('by any of the certificates that its key has, wherever they are', async () => {
    const csr = ['-in', 'signer.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-extfile', 'signer.ext'];
    openssl('x509', '-req', ...csr, '-days', '-1', '-out', 'signer-old.crt');
    expect(await verdict(['signer-old.crt', 'ca.crt'], keyIdOf('signer'))).toBe('expired');
    expect(await verdict(['signer.crt', 'signer-old.crt', 'ca.crt'], keyIdOf('signer'))).toBe('accepted');
    expect(await verdict(['signer-old.crt', 'signer.crt', 'ca.crt'], keyIdOf('signer'))).toBe('accepted');
    expect(await verdict(['signer-old.crt', 'ca.crt'], keyIdOf('signer'), [der('signer')])).toBe('accepted');
    expect(await verdict(['signer-old.crt', 'ca.crt'], keyIdOf('signer'), [der('server')])).toBe('expired');
  });

  test('by a public key of OpenSSH, in a file or as text', async () => {
    for (const [type, bits] of [['ed25519'], ['ecdsa', '256'], ['ecdsa', '384'], ['rsa', '2048']] as const) {
      const name = `ssh-${type}-${bits}`;
      const size = bits === undefined ? [] : ['-b', bits];
      execFileSync('ssh-keygen', ['-q', '-t', type, ...size, '-N', '', '-f', at(name), '-C', 'a comment']);
      const text = readFileSync(at(`${name}.pub`), 'utf8');
      const keyId = thumbprint(readSshKeyLine(text.trim()).jwk);
      if (type !== 'ed25519') {
        writeFileSync(at('ssh.pem'), execFileSync('ssh-keygen', ['-e', '-m', 'PKCS8', '-f', at(`${name}.pub`)]));
        expect(await verdict(['ssh.pem'], keyId)).toBe('accepted');
      }
      expect(readTrustedSigners([text.trim()]).find(keyId, [])).toBeDefined();
      expect(await verdict([`${name}.pub`], keyId)).toBe('accepted');
      const signer = await SignerFile.read(at(name));
      expect(thumbprint(signer.publicJwk)).toBe(keyId);
      signer.dispose();
    }
  });
});

describe('a signer is refused', () => {
  test('whose certificate is of someone else, expired, or not for signing', async () => {
    expect(await verdict(['other-ca.crt'], keyIdOf('signer'), [der('signer')])).toBe('unknown-issuer');
    expect(await verdict(['ca.crt'], keyIdOf('expired'), [der('expired')])).toBe('expired');
    expect(await verdict(['ca.crt'], keyIdOf('server'), [der('server')])).toBe('wrong-usage');
  });

  test('who sends the certificate of another key, or bytes', async () => {
    expect(await verdict(['ca.crt'], keyIdOf('other-ca'), [der('signer')])).toBe('unknown');
    expect(await verdict(['ca.crt'], keyIdOf('signer'), [Buffer.from('bytes')])).toBe('unknown');
    expect(await verdict(['ca.crt'], keyIdOf('signer'))).toBe('unknown');
    expect(await verdict(['signer.pub'], keyIdOf('expired'), [der('expired')])).toBe('unknown');
  });

  test.each(['signer.key', 'signer.csr', 'nothing'])('by what holds no one: %s', async (name) => {
    if (name === 'nothing') writeFileSync(at(name), 'ssh-ed25519 AAAA');
    expect(() => readTrustedSigners([at(name)])).toThrow('holds no certificate, and no public key that signs images');
  });

  test('by a file that is not there', () => {
    expect(() => readTrustedSigners([at('absent')])).toThrow('no such file');
  });
});

describe('a key that signs', () => {
  test('is read, gets its certificate, and signs', async () => {
    const signer = await SignerFile.read(at('signer.key'));
    await embedCertificates(at('signer.crt'), [signer]);
    expect(signer.certificates).toEqual([der('signer')]);
    const data = Buffer.from('data');
    expect(verifySignature(signer.publicJwk, 'EdDSA', data, signer.sign('EdDSA', data))).toBe(true);
    await expect(embedCertificates(at('server.crt'), [signer])).rejects.toThrow('is not for digitalSignature');
    await expect(embedCertificates(at('expired.crt'), [signer])).rejects.toThrow('expired at');
    issue('another', 'ca');
    await expect(embedCertificates(at('another.crt'), [signer])).rejects.toThrow('is of another key');
    signer.dispose();
    expect(() => signer.sign('EdDSA', data)).toThrow();
  });

  test('may need a passphrase', async () => {
    openssl('pkcs8', '-topk8', '-in', 'signer.key', '-out', 'encrypted.key', '-passout', 'pass:right');
    const passphrase = (text: string) => async () => Secret.copy(Buffer.from(text));
    const signer = await SignerFile.read(at('encrypted.key'), passphrase('right'));
    expect(thumbprint(signer.publicJwk)).toBe(keyIdOf('signer'));
    signer.dispose();
    await expect(SignerFile.read(at('encrypted.key'), passphrase('wrong'))).rejects.toMatchObject({
      code: 'bad-key-file',
      data: { reason: 'wrong-passphrase' },
    });
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'right', '-f', at('ssh-locked')]);
    (await SignerFile.read(at('ssh-locked'), passphrase('right'))).dispose();
    await expect(SignerFile.read(at('ssh-locked'))).rejects.toMatchObject({ data: { reason: 'passphrase-needed' } });
    await expect(SignerFile.read(at('encrypted.key'))).rejects.toMatchObject({ data: { reason: 'passphrase-needed' } });
  });

  test('is not of a kind that only agrees', async () => {
    openssl('genpkey', '-algorithm', 'x25519', '-out', 'x25519.key');
    await expect(SignerFile.read(at('x25519.key'))).rejects.toThrow('is a key of a kind that signs no images');
  });
});
