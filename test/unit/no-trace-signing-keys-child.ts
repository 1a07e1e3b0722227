import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Secret } from '../../src/crypto/secret.ts';
import { readKeyFile } from '../../src/keys/key-file.ts';
import { SignerFile } from '../../src/keys/signers/signer-file.ts';
import { symmetricKeyProvider } from '../../src/keys/symmetric-key.ts';
import { signImage } from '../../src/library/signatures.ts';

/** Signs an image with each private key of a directory, prints `live N`, waits; wipes all, prints `wiped`, waits. */

const [directory = '', image = '', keyFile = ''] = process.argv.slice(2);

async function say(word: string): Promise<void> {
  process.stdout.write(`${word}\n`);
  await new Promise((resume) => process.stdin.once('data', resume));
}

function passphrase(): Promise<Secret> {
  return Promise.resolve(Secret.take(readFileSync(join(directory, 'passphrase'))));
}

const names = readdirSync(directory).filter((name) => name.endsWith('.key'));
const signers: SignerFile[] = [];
for (const name of names) signers.push(await SignerFile.read(join(directory, name), passphrase));
const keys = [symmetricKeyProvider(readKeyFile(keyFile).key)];
const { signatures } = await signImage(image, { keys }, signers);
await say(`live ${signatures}`);

for (const signer of signers) signer.dispose();
for (let i = 0; i < 3; i++) {
  globalThis.gc?.();
  await new Promise((resume) => setTimeout(resume, 20));
}
await say('wiped');
process.exit();
