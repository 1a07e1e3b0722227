// Goal: after a private key was used and wiped, no part of it is anywhere in the memory of the process.
// Method: a child process opens a slot with a key of each kind, from each form of file; its whole memory is searched.
import { spawn } from 'node:child_process';
import { createPrivateKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { Secret } from '../../src/crypto/secret.ts';
import { readRecipientFile } from '../../src/keys/recipients/pem.ts';
import { KeyDirectory } from './crypto/made-keys.ts';
import { found } from './memory-search.ts';

const directory = new KeyDirectory();
afterAll(() => directory.remove());

const PASSPHRASE = randomBytes(16).toString('hex');

/** A kind of key, and how openssl makes the file that is read from that of PKCS#8. */
const files: [name: string, options: string, command: string][] = [
  ['rsa-pkcs8', '-algorithm RSA', 'pkey'],
  ['rsa-pkcs1', '-algorithm RSA', 'rsa -traditional'],
  ['rsa-pbes2', '-algorithm RSA', `pkcs8 -topk8 -passout pass:${PASSPHRASE}`],
  ['rsa-traditional', '-algorithm RSA', `rsa -traditional -aes256 -passout pass:${PASSPHRASE}`],
  ['rsa-pkcs12', '-algorithm RSA', `pkcs12 -export -nocerts -passout pass:${PASSPHRASE} -inkey`],
  ['ec-pkcs8', '-algorithm EC -pkeyopt ec_paramgen_curve:P-256', 'pkey'],
  ['ec-sec1', '-algorithm EC -pkeyopt ec_paramgen_curve:P-384', 'ec'],
  ['ec-pbes2', '-algorithm EC -pkeyopt ec_paramgen_curve:P-521', `pkcs8 -topk8 -passout pass:${PASSPHRASE}`],
  ['x25519', '-algorithm X25519', 'pkey'],
  ['x25519-pbes2', '-algorithm X25519', `pkcs8 -topk8 -passout pass:${PASSPHRASE}`],
  ['ed25519', '-algorithm ED25519', 'pkey'],
];

/** Returns the secret numbers of a key, as they are in files and as OpenSSL has them, and a line of its file. */
function secretsOf(name: string): [string, Buffer][] {
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
  // The lines before the middle of an RSA key have its public numbers.
  const lines = readFileSync(directory.file(`${name}.key`), 'latin1').split('\n');
  const line = lines[Math.floor((lines.length - 1) * 0.6)];
  const isPem = line !== undefined && /^[\w+/=]{16,}$/.test(line);
  return isPem ? [...numbers, [`${name} text`, Buffer.from(line)]] : numbers;
}

test('no private key is left in memory after the wipe', { timeout: 60_000 }, async () => {
  const [imageKey, imageId] = [Secret.random(32), Buffer.alloc(16, 1)];
  for (const [name, options, command] of files) {
    directory.openssl(`genpkey ${options} -out ${name}.pem`);
    directory.openssl(
      `${command} ${command.endsWith('-inkey') ? '' : '-in '}${name}.pem -out ${name}.key`.replace('  ', ' '),
    );
    directory.openssl(`pkey -in ${name}.pem -pubout -out ${name}.pub`);
    const slot = await readRecipientFile(directory.file(`${name}.pub`)).wrap(imageKey, imageId);
    writeFileSync(directory.file(`${name}.json`), JSON.stringify(slot));
  }
  writeFileSync(directory.file('passphrase'), PASSPHRASE);
  const needles = new Map<string, Buffer>([
    ['image', Buffer.from(imageKey.bytes)],
    ['passphrase', Buffer.from(PASSPHRASE)],
    ...files.flatMap(([name]) => secretsOf(name)),
  ]);

  const program = fileURLToPath(new URL('no-trace-private-keys-child.ts', import.meta.url));
  const args = ['--expose-gc', '--import', 'tsx', program, directory.path, imageId.toString('hex')];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const said = async () => String((await once(child.stdout, 'data'))[0]).trim();
  expect(await said()).toBe('live');
  // That the scan sees keys at all, in the form that OpenSSL has them in.
  expect(found(child.pid ?? 0, needles)).toEqual(
    expect.arrayContaining(['image', 'rsa-pbes2 p of OpenSSL', 'ec-sec1 d of OpenSSL', 'x25519 d']),
  );
  child.stdin.write('\n');
  expect(await said()).toBe('wiped');
  expect(found(child.pid ?? 0, needles)).toEqual([]);
  child.stdin.write('\n');
  await once(child, 'exit');
});
