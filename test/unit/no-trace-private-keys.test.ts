// Goal: after a private key was used and wiped, no part of it is anywhere in the memory of the process.
// Method: a child process opens a slot with a key of each kind, from each form of file; its whole memory is searched.
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bech32 } from '@scure/base';
import { afterAll, expect, test } from 'vitest';
import { Secret } from '../../src/crypto/secret.ts';
import { readRecipientFile } from '../../src/keys/recipients/pem.ts';
import { readRecipients } from '../../src/keys/recipients/read-recipients.ts';
import { namesInMemory } from '../support/memory.ts';
import { KeyDirectory } from './crypto/made-keys.ts';
import { makeKey, makeSshKey, secretsOf } from './secret-numbers.ts';

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

/** Keys that ssh-keygen makes, and whether a passphrase protects them. */
const sshFiles: [name: string, options: string, isProtected: boolean][] = [
  ['ssh-ed25519', '-t ed25519', false],
  ['ssh-ed25519-protected', '-t ed25519', true],
  ['ssh-rsa-protected', '-t rsa -b 2048', true],
  ['ssh-ecdsa-protected', '-t ecdsa -b 384', true],
];

/** Makes age.key and age.pub, and returns what is secret in them. */
function makeAgeKey(): [string, Buffer][] {
  execFileSync('age-keygen', ['-o', 'age.key'], { cwd: directory.path, stdio: 'pipe' });
  writeFileSync(directory.file('age.pub'), execFileSync('age-keygen', ['-y', 'age.key'], { cwd: directory.path }));
  const text = readFileSync(directory.file('age.key'), 'latin1').trim().split('\n').at(-1) ?? '';
  const bytes = Buffer.from(bech32.decodeToBytes(text).bytes);
  return [
    ['age text', Buffer.from(text.slice(20, 50))],
    ['age key', bytes.subarray(4, 28)],
  ];
}

test('no private key is left in memory after the wipe', async () => {
  const [imageKey, imageId] = [Secret.random(32), Buffer.alloc(16, 1)];
  for (const [name, options, command] of files) {
    makeKey(directory, name, options, command);
    directory.openssl(`pkey -in ${name}.pem -pubout -out ${name}.pub`);
    const slot = await readRecipientFile(directory.file(`${name}.pub`)).wrap(imageKey, imageId);
    writeFileSync(directory.file(`${name}.json`), JSON.stringify(slot));
  }
  const others = [
    ...sshFiles.flatMap(([name, options, isProtected]) =>
      makeSshKey(directory, name, options, isProtected ? PASSPHRASE : ''),
    ),
    ...makeAgeKey(),
  ];
  for (const name of [...sshFiles.map(([each]) => each), 'age']) {
    const [recipient] = await readRecipients(directory.file(`${name}.pub`));
    writeFileSync(directory.file(`${name}.json`), JSON.stringify(await recipient?.wrap(imageKey, imageId)));
  }
  writeFileSync(directory.file('passphrase'), PASSPHRASE);
  const needles = new Map<string, Buffer>([
    ['image', Buffer.from(imageKey.bytes)],
    ['passphrase', Buffer.from(PASSPHRASE)],
    ...files.flatMap(([name]) => secretsOf(directory, name)),
    ...others,
  ]);

  const program = fileURLToPath(new URL('no-trace-private-keys-child.ts', import.meta.url));
  const args = ['--expose-gc', '--import', 'tsx', program, directory.path, imageId.toString('hex')];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const said = async () => String((await once(child.stdout, 'data'))[0]).trim();
  expect(await said()).toBe('live');
  // That the scan sees keys at all, in the form that OpenSSL has them in.
  expect(namesInMemory(child.pid ?? 0, needles)).toEqual(
    expect.arrayContaining([
      'image',
      'rsa-pbes2 p of OpenSSL',
      'ec-sec1 d of OpenSSL',
      'x25519 d',
      'age key',
      'ssh-ed25519-protected as X25519',
    ]),
  );
  child.stdin.write('\n');
  expect(await said()).toBe('wiped');
  expect(namesInMemory(child.pid ?? 0, needles)).toEqual([]);
  child.stdin.write('\n');
  await once(child, 'exit');
});
