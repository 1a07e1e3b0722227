import { readFileSync } from 'node:fs';
import { Directory } from '../../src/base/linux/directory.ts';
import { Region } from '../../src/base/linux/native.ts';
import { wipe } from '../../src/base/wipe.ts';
import { CriuLayer } from '../../src/criu/layer.ts';
import { LAYER_SECRETS_SIZE, unlockLayer } from '../../src/criu/unlock-layer.ts';
import { readPrivateKey } from '../../src/crypto/private-key-file.ts';
import { Secret } from '../../src/crypto/secret.ts';

/**
 * Opens a directory that CRIU encrypted, and reads and checks all of it; prints `live`, waits, closes and wipes all,
 * prints `wiped`, and waits.
 */

const [path = '', keyFile = ''] = process.argv.slice(2);

async function say(word: string): Promise<void> {
  process.stdout.write(`${word}\n`);
  await new Promise((resume) => process.stdin.once('data', resume));
}

const key = readPrivateKey(readFileSync(keyFile));
const directory = Directory.open(path);
const secrets = Secret.zeros(LAYER_SECRETS_SIZE);
unlockLayer(directory, [{ source: 'key', key }], secrets.bytes);
key.dispose();
const layer = CriuLayer.open(directory, secrets.bytes);
// Parts of pieces and pages go through buffers of their own.
const out = new Region(3000);
for (const [file, { size }] of layer.files.entries())
  for (let offset = 0; offset < size; offset += out.length) layer.read(file, offset, out.length, out, 0);
for (const steps = layer.verify(); ; ) if (steps.next().done === true) break;
wipe(out.bytes);
await say('live');

layer.close();
CriuLayer.wipeShared(layer.shared);
secrets.wipe();
directory.close();
for (let i = 0; i < 3; i++) {
  globalThis.gc?.();
  await new Promise((resume) => setTimeout(resume, 20));
}
await say('wiped');
process.exit();
