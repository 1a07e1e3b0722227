import { readFileSync } from 'node:fs';
import { Region } from '../../src/base/linux/native.ts';
import { createChunkCipher } from '../../src/crypto/chunk-ciphers.ts';
import { headerMac } from '../../src/crypto/header-mac.ts';
import { deriveHeaderMacKey, deriveManifestKey } from '../../src/crypto/image-keys.ts';
import { JournalCipher } from '../../src/crypto/journal-cipher.ts';
import { openManifest, sealManifest } from '../../src/crypto/manifest-aead.ts';
import { primitives } from '../../src/crypto/select.ts';
import { cipherNames } from '../../src/format/ciphers.ts';
import { Geometry } from '../../src/format/geometry.ts';
import { encodeJournalHeader } from '../../src/format/journal-codec.ts';
import { parseSlot } from '../../src/format/slot.ts';
import { suiteNames } from '../../src/format/suites.ts';
import { readKeyFile } from '../../src/keys/key-file.ts';
import { unwrapImageKey } from '../../src/keys/provider.ts';
import { symmetricKeyProvider } from '../../src/keys/symmetric-key.ts';

/** Uses every key once, prints `live`, waits for a line, wipes all keys, prints `wiped`, and waits for another line. */

const [keyFile = '', slotFile = '', name = ''] = process.argv.slice(2);
const p = primitives(name === 'node' ? 'node' : 'openssl');
const imageId = Buffer.alloc(16, 1);
const objectId = Buffer.alloc(16, 2);

async function say(word: string): Promise<void> {
  process.stdout.write(`${word}\n`);
  await new Promise((resume) => process.stdin.once('data', resume));
}

const { key } = readKeyFile(keyFile);
const slot = parseSlot(JSON.parse(readFileSync(slotFile, 'utf8')));
const { imageKey } = await unwrapImageKey([slot], imageId, [symmetricKeyProvider(key, 'key')]);
const ciphers = cipherNames.map((cipher) =>
  createChunkCipher(p, cipher, imageKey, imageId, objectId, new Geometry(16384)),
);
const [chunk, record] = [new Region(16384), new Region(64)];
for (const cipher of ciphers) {
  cipher.seal(0, 0, 0, chunk, 0, chunk, 0, record, 0);
  cipher.open(0, 0, 4, chunk, 0, record, 0, chunk, 0);
}
const headerKey = deriveHeaderMacKey(p, imageKey, imageId);
headerMac(p, headerKey, imageId);
const manifestKey = deriveManifestKey(p, imageKey, imageId);
const nonce = Buffer.alloc(24);
for (const suite of suiteNames) {
  const sealed = sealManifest(manifestKey, nonce, imageId, Buffer.alloc(8192), suite, p);
  openManifest(manifestKey, nonce, imageId, sealed, suite, p);
}
const journal = new JournalCipher(p, imageKey, imageId, encodeJournalHeader(objectId), 'fips');
journal.open(0, journal.seal(0, Buffer.alloc(64)));
await say('live');

for (const cipher of [...ciphers, journal]) cipher.dispose();
for (const secret of [key, imageKey, headerKey, manifestKey]) secret.wipe();
// Node's own key objects wipe themselves when they are collected.
for (let i = 0; i < 3; i++) {
  globalThis.gc?.();
  await new Promise((resume) => setTimeout(resume, 20));
}
await say('wiped');
process.exit();
