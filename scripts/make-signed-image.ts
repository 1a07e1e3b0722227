// Makes test/images/v1/signed once, with the built ckptfs, openssl and ssh-keygen. It is never made again: every
// later ckptfs has to verify its signatures. The private keys are not kept.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { keyFile, SIGNED_FILE, signedRoot } from '../test/support/frozen-images.ts';
import { type KeyKind, Pki } from '../test/unit/keys/certificates/pki.ts';
import { filler } from './vectors/encode.ts';

/** What signs, by the algorithms of RFC 7518 and RFC 8037. */
const kinds: Readonly<Record<string, KeyKind>> = { EdDSA: 'Ed25519', ES256: 'P-256', ES384: 'P-384', PS256: 'RSA' };

if (fs.existsSync(signedRoot)) throw new Error(`${signedRoot} exists: frozen images are never made again`);
const pki = new Pki();
const run = (program: string, ...args: readonly string[]): void => {
  execFileSync(program, args, { cwd: pki.directory });
};

try {
  const trusted = path.join(signedRoot, 'trusted');
  fs.mkdirSync(trusted, { recursive: true });
  const signing: string[] = [];
  for (const [name, kind] of Object.entries(kinds)) {
    pki.key(name, kind);
    pki.openssl('pkey', '-in', `${name}.key`, '-pubout', '-out', path.join(trusted, `${name}.pem`));
    signing.push('--sign', `${name}.key`);
  }
  run('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'frozen', '-f', 'ssh.key');
  fs.copyFileSync(pki.path('ssh.key.pub'), path.join(trusted, 'ssh.pub'));
  signing.push('--sign', 'ssh.key');

  fs.copyFileSync(pki.authority('authority'), path.join(trusted, 'authority.crt'));
  pki.authority('under', 'authority');
  pki.issue('under', 'signer', { extensions: ['keyUsage=critical,digitalSignature'] });
  pki.join('chain.crt', 'signer.crt', 'under.crt');
  signing.push('--sign', 'signer.key', '--sign-cert', 'chain.crt');

  fs.mkdirSync(pki.path('source'));
  fs.writeFileSync(pki.path(`source/${SIGNED_FILE}`), filler(SIGNED_FILE, 5000));
  const ckptfs = path.join(import.meta.dirname, '..', 'bin', 'ckptfs');
  run(ckptfs, 'encrypt', 'source', path.join(signedRoot, 'image'), '--key-file', keyFile(), '--quiet', ...signing);
} finally {
  pki.dispose();
}
