// Goal: after an image was signed, no part of a private key that signed is anywhere in the memory of the process.
// Method: a child process signs an image with a key of each kind, as commands do; its whole memory is searched.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { frozenRoot, keyFile } from '../support/frozen-images.ts';
import { namesInMemory } from '../support/memory.ts';
import { KeyDirectory } from './crypto/made-keys.ts';
import { makeKey, makeSshKey, secretsOf } from './secret-numbers.ts';

const directory = new KeyDirectory();
afterAll(() => directory.remove());

const PASSPHRASE = randomBytes(16).toString('hex');

/** Keys, and how openssl makes the file that is read from that of PKCS#8. */
const files: [name: string, options: string, command: string][] = [
  ['ed25519', '-algorithm ED25519', 'pkey'],
  ['ed25519-pbes2', '-algorithm ED25519', `pkcs8 -topk8 -passout pass:${PASSPHRASE}`],
  ['p256-sec1', '-algorithm EC -pkeyopt ec_paramgen_curve:P-256', 'ec'],
  ['p384-pbes2', '-algorithm EC -pkeyopt ec_paramgen_curve:P-384', `pkcs8 -topk8 -passout pass:${PASSPHRASE}`],
  ['rsa-pkcs8', '-algorithm RSA', 'pkey'],
  ['rsa-pkcs12', '-algorithm RSA', `pkcs12 -export -nocerts -passout pass:${PASSPHRASE} -inkey`],
];
const sshFiles: [name: string, options: string, passphrase: string][] = [
  ['ssh-ed25519', '-t ed25519', ''],
  ['ssh-ed25519-protected', '-t ed25519', PASSPHRASE],
  ['ssh-ecdsa-protected', '-t ecdsa -b 256', PASSPHRASE],
  ['ssh-rsa-protected', '-t rsa -b 2048', PASSPHRASE],
];

test('no key that signs is left in memory after the wipe', async () => {
  for (const each of files) makeKey(directory, ...each);
  const needles = new Map<string, Buffer>([
    ['passphrase', Buffer.from(PASSPHRASE)],
    ...files.flatMap(([name]) => secretsOf(directory, name)),
    ...sshFiles.flatMap((each) => makeSshKey(directory, ...each)),
  ]);
  writeFileSync(directory.file('passphrase'), PASSPHRASE);
  const image = directory.file('image');
  cpSync(join(frozenRoot, 'aes-256-xts', 'image'), image, { recursive: true });

  const program = fileURLToPath(new URL('no-trace-signing-keys-child.ts', import.meta.url));
  const args = ['--expose-gc', '--import', 'tsx', program, directory.path, image, keyFile()];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const said = async () => String((await once(child.stdout, 'data'))[0]).trim();
  try {
    expect(await said()).toBe(`live ${files.length + sshFiles.length}`);
    // That the scan sees keys at all, in the form that OpenSSL has them in.
    expect(namesInMemory(child.pid ?? 0, needles)).toEqual(
      expect.arrayContaining(['ed25519 d', 'p256-sec1 d of OpenSSL', 'rsa-pkcs12 p of OpenSSL', 'ssh-ed25519 seed']),
    );
    child.stdin.write('\n');
    expect(await said()).toBe('wiped');
    expect(namesInMemory(child.pid ?? 0, needles)).toEqual([]);
  } finally {
    child.kill();
  }
});
