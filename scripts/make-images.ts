// Makes the images of test/images/v1 that are missing, with the built dist/ and as root. What exists is never
// overwritten: version 1 images stay as they are.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Secret } from '../src/crypto/secret.ts';
import { isCompressionName } from '../src/format/compressions.ts';
import type { CreateOptions } from '../src/image/create/create.ts';
import { openImage, readHeader } from '../src/image/read/image.ts';
import { ImageTree } from '../src/image/read/tree.ts';
import { readKeyFile } from '../src/keys/key-file.ts';
import { createKeyFile } from '../src/keys/keygen.ts';
import { unwrapImageKey } from '../src/keys/provider.ts';
import { wrapIntoSlot } from '../src/keys/slots/aes-key-wrap.ts';
import { symmetricKeyProvider } from '../src/keys/symmetric-key.ts';
import { LocalStore } from '../src/stores/local-store.ts';
import { frozenRoot, imageDirectory, imageNames, keyFile } from '../test/support/frozen-images.ts';
import { BASE, type Damage, type OpenedBase } from './images/damage.ts';
import { sealedDamage } from './images/sealed-damage.ts';
import { describeTree, makeSourceTree } from './images/source-tree.ts';
import { storedDamage } from './images/stored-damage.ts';
import { filler } from './vectors/encode.ts';

/** Worker threads run compiled code, so creating an image does too. */
const { createImage } = (await import(
  path.join(import.meta.dirname, '..', 'dist', 'image', 'create', 'create.js')
)) as typeof import('../src/image/create/create.ts');

const chunkSizes: Readonly<Record<(typeof imageNames)[number], number>> = {
  'aes-256-xts': 16384,
  'aes-128-xts': 4096,
  'chacha20-poly1305': 65536,
  none: 8192,
  'aes-256-gcm': 32768,
  fips: 16384,
  zstd: 32768,
  lz4: 65536,
};

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function howOf(name: (typeof imageNames)[number]): Pick<CreateOptions, 'suite' | 'cipher' | 'compression'> {
  if (name === 'fips') return { suite: name };
  return isCompressionName(name) ? { compression: { name } } : { cipher: name };
}

async function create(source: string, destination: string, name: (typeof imageNames)[number]): Promise<void> {
  const keys = ([128, 192, 256] as const).map((bits) => readKeyFile(keyFile(bits)).key);
  const makeSlots = (imageKey: Secret, imageId: Buffer) =>
    Promise.all(keys.map((key) => wrapIntoSlot(imageKey, imageId, key)));
  const how = howOf(name);
  await createImage({ source, destination, ...how, chunkSize: chunkSizes[name], makeSlots });
}

async function open(directory: string): Promise<OpenedBase> {
  const store = new LocalStore(directory);
  const header = readHeader(store);
  const imageKey = (
    await unwrapImageKey(header.slots, header.imageId, [symmetricKeyProvider(readKeyFile(keyFile()).key)])
  ).imageKey;
  const image = openImage(store, header, imageKey);
  return { directory, image, tree: new ImageTree(image.manifest) };
}

function writeDamage(name: string, { files = {}, ...recipe }: Damage): void {
  const folder = path.join(frozenRoot, 'damaged');
  const { description, changes, expected } = recipe;
  fs.writeFileSync(path.join(folder, `${name}.json`), json({ description, base: BASE, changes, expected }), {
    flag: 'wx',
  });
  for (const [file, bytes] of Object.entries(files)) fs.writeFileSync(path.join(folder, file), bytes, { flag: 'wx' });
}

const missing = imageNames.filter((name) => !fs.existsSync(path.join(frozenRoot, name)));
const isNew = !fs.existsSync(frozenRoot);
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'ckptfs-images-'));
// Reading the source must not change the atimes in it.
execFileSync('mount', ['--bind', '-o', 'noatime', scratch, scratch]);
try {
  const source = path.join(scratch, 'source');
  makeSourceTree(source);
  fs.mkdirSync(frozenRoot, { recursive: true });
  if (isNew) for (const bits of [128, 192, 256] as const) createKeyFile(keyFile(bits), bits);
  for (const name of missing) {
    const own = sourceFor(name, source, scratch);
    fs.mkdirSync(path.join(frozenRoot, name));
    await create(own, imageDirectory(name), name);
    fs.writeFileSync(path.join(frozenRoot, name, 'files.json'), json(describeTree(own)));
  }
  if (isNew) await makeDamage(source, scratch);
  process.stdout.write(`made: ${missing.join(', ')}\n`);
} finally {
  execFileSync('umount', [scratch]);
  fs.rmSync(scratch, { recursive: true });
}

/** Returns the tree for an image: for one that is compressed, with files that shrink, whole or in parts. */
function sourceFor(name: (typeof imageNames)[number], source: string, scratch: string): string {
  if (!isCompressionName(name)) return source;
  const own = path.join(scratch, name);
  makeSourceTree(own);
  const text = Buffer.alloc(70_000, 'what shrinks ');
  fs.writeFileSync(path.join(own, 'text.img'), text);
  fs.writeFileSync(path.join(own, 'small-text.img'), text.subarray(0, 20_000));
  fs.writeFileSync(path.join(own, 'mixed.img'), Buffer.concat([text, filler('mixed', 70_000), text]));
  return own;
}

/** Makes a recipe of each kind of damage. */
async function makeDamage(source: string, scratch: string): Promise<void> {
  fs.mkdirSync(path.join(frozenRoot, 'damaged'));
  const other = path.join(scratch, 'other');
  await create(source, other, BASE);
  const base = await open(imageDirectory(BASE));
  const another = await open(other);
  const damage = { ...storedDamage(base, another), ...sealedDamage(base) };
  // What is held below the scratch directory would keep it mounted.
  another.image.store.close();
  for (const [name, recipe] of Object.entries(damage)) writeDamage(name, recipe);
}
