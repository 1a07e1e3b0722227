import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Secret } from '../../src/crypto/secret.ts';
import { parseSlot } from '../../src/format/slot.ts';
import { PrivateKeyFile } from '../../src/keys/identities/private-key-file.ts';

/** Opens a slot with each private key of a directory, prints `live`, waits, wipes all, prints `wiped`, and waits. */

const [directory = '', imageId = ''] = process.argv.slice(2);

async function say(word: string): Promise<void> {
  process.stdout.write(`${word}\n`);
  await new Promise((resume) => process.stdin.once('data', resume));
}

function passphrase(): Promise<Secret> {
  const text = readFileSync(join(directory, 'passphrase'));
  return Promise.resolve(Secret.take(text));
}

const slots = readdirSync(directory)
  .filter((name) => name.endsWith('.json'))
  .map((name) => parseSlot(JSON.parse(readFileSync(join(directory, name), 'utf8'))));
const identities = readdirSync(directory)
  .filter((name) => name.endsWith('.key'))
  .map((name) => PrivateKeyFile.read(join(directory, name), passphrase));
const imageKeys: Secret[] = [];
for (const identity of identities) {
  const opened = await identity.unwrap(slots, Buffer.from(imageId, 'hex'));
  if (opened === undefined) throw new Error(`${identity.source} opens nothing`);
  imageKeys.push(opened.imageKey);
}
await say('live');

for (const identity of identities) identity.dispose();
for (const imageKey of imageKeys) imageKey.wipe();
for (let i = 0; i < 3; i++) {
  globalThis.gc?.();
  await new Promise((resume) => setTimeout(resume, 20));
}
await say('wiped');
process.exit();
