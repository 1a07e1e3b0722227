import { execFileSync } from 'node:child_process';
import { createHash, createPrivateKey } from 'node:crypto';
import { copyFileSync, readFileSync } from 'node:fs';
import type { KeyDirectory } from './crypto/made-keys.ts';

/** Private keys, and what of them must not be found in memory. */

/** Makes NAME.pem, PKCS#8, and of that NAME.key. @param command of openssl, which makes that form */
export function makeKey(directory: KeyDirectory, name: string, options: string, command: string): void {
  directory.openssl(`genpkey ${options} -out ${name}.pem`);
  directory.openssl(
    `${command} ${command.endsWith('-inkey') ? '' : '-in '}${name}.pem -out ${name}.key`.replace('  ', ' '),
  );
}

/** Returns the secret numbers of a key, as they are in files and as OpenSSL has them, and a line of its file. */
export function secretsOf(directory: KeyDirectory, name: string): [string, Buffer][] {
  const jwk = createPrivateKey(readFileSync(directory.file(`${name}.pem`))).export({ format: 'jwk' });
  const numbers = (['d', 'p', 'q', 'dp', 'dq', 'qi'] as const).flatMap((member): [string, Buffer][] => {
    const text = jwk[member];
    if (text === undefined) return [];
    // Some bytes from the middle: the ends may be cut or padded.
    const middle = Buffer.from(text, 'base64url').subarray(4, 28);
    return [
      [`${name} ${member}`, middle],
      [`${name} ${member} of OpenSSL`, Buffer.from(middle).reverse()],
    ];
  });
  const seed = jwk.crv === 'Ed25519' ? Buffer.from(jwk.d ?? '', 'base64url') : undefined;
  if (seed !== undefined) numbers.push(...secretsOfSeed(name, seed));
  // The lines before the middle of an RSA key have its public numbers.
  const lines = readFileSync(directory.file(`${name}.key`), 'latin1').split('\n');
  const line = lines[Math.floor((lines.length - 1) * 0.6)];
  const isPem = line !== undefined && /^[\w+/=]{16,}$/.test(line);
  return isPem ? [...numbers, [`${name} text`, Buffer.from(line)]] : numbers;
}

/** What Ed25519 makes of a seed (RFC 8032 §5.1.5): a number, which is the key as X25519, and the seed of nonces. */
function secretsOfSeed(name: string, seed: Uint8Array): [string, Buffer][] {
  const hash = createHash('sha512').update(seed).digest();
  return [
    [`${name} as X25519`, hash.subarray(4, 28)],
    [`${name} prefix`, hash.subarray(36, 60)],
  ];
}

/** Makes NAME.key and NAME.pub by ssh-keygen, and returns what is secret in them. @param passphrase or '' */
export function makeSshKey(
  directory: KeyDirectory,
  name: string,
  options: string,
  passphrase: string,
): [string, Buffer][] {
  const keygen = (...args: string[]): Buffer =>
    execFileSync('ssh-keygen', ['-q', '-a', '2', ...args], { cwd: directory.path });
  keygen('-f', `${name}.key`, '-N', '', ...options.split(' '));
  copyFileSync(directory.file(`${name}.key.pub`), directory.file(`${name}.pub`));
  const text = readFileSync(directory.file(`${name}.key`), 'latin1');
  let secrets: [string, Buffer][];
  if (options.includes('ed25519')) {
    const bytes = Buffer.from(text.replace(/-----.*-----/g, ''), 'base64');
    const at = bytes.lastIndexOf(Buffer.of(0, 0, 0, 64)) + 4;
    const seed = bytes.subarray(at, at + 32);
    secrets = [[`${name} seed`, seed.subarray(4, 28)], ...secretsOfSeed(name, seed)];
  } else {
    copyFileSync(directory.file(`${name}.key`), directory.file(`${name}.pem`));
    keygen('-p', '-f', `${name}.pem`, '-N', '', '-m', 'PKCS8');
    secrets = secretsOf(directory, name);
  }
  if (passphrase !== '') keygen('-p', '-f', `${name}.key`, '-N', passphrase);
  return secrets;
}
