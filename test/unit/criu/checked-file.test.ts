// Goal: pages that are read once more are those that were checked.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { CkptfsError } from '../../../src/base/errors.ts';
import { Directory } from '../../../src/base/linux/directory.ts';
import { Region } from '../../../src/base/linux/native.ts';
import { CriuLayer } from '../../../src/criu/layer.ts';
import { pageMac } from '../../support/criu-encryption.ts';
import {
  indexOf,
  MadeLayers,
  openLayer,
  outcome,
  PAGES_KEY,
  pagemapHead,
  pagemapRun,
  sealedImage,
  sealedPages,
  TOKEN,
} from '../../support/made-criu-layer.ts';

const made = new MadeLayers();

afterEach(() => made.end());

const plain = Buffer.from(Uint8Array.from({ length: 8192 }, (_, at) => (at * 11) % 253));

/** Checks the pages of a layer, lets `change` do its work, and reads them again in two steps. */
function readAgain(change: (pages: string) => void): Buffer {
  const pages = sealedPages(plain);
  const macs = [0, 1].map((page) =>
    pageMac(TOKEN, pages.subarray(page * 4096, (page + 1) * 4096), BigInt(page + 1) * 4096n),
  );
  const digest = Buffer.from(macs[0]?.map((byte, at) => byte ^ (macs[1]?.[at] ?? 0)) ?? []);
  const directory = made.make(
    { 'pages-1.img': pages, 'pagemap-9.img': sealedImage(pagemapHead(1), pagemapRun(0x1000n, 2)) },
    digest,
  );
  const { layer, close } = openLayer(directory);
  const held = Directory.open(directory);
  try {
    expect(outcome(layer.checkPages()).outcome).toBe('matches');
    change(path.join(directory, 'pages-1.img'));
    const secrets = Buffer.concat([TOKEN, PAGES_KEY]);
    const again = CriuLayer.attach(held, secrets, layer.shared, layer.checkedPages);
    const out = new Region(8192);
    try {
      for (const offset of [0, 4096]) again.read(indexOf(layer, 'pages-1.img'), offset, 4096, out, offset);
    } finally {
      again.close();
    }
    return out.bytes;
  } finally {
    held.close();
    close();
  }
}

test('pages that are as they were checked are read', () => {
  expect(readAgain(() => undefined).equals(plain)).toBe(true);
});

test.each([0, 4095, 4096, 8191])('pages of which byte %s was changed in place since are refused at their end', (at) => {
  const attempt = (): unknown =>
    readAgain((file) => {
      const bytes = readFileSync(file);
      bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
      writeFileSync(file, bytes);
    });
  expect(attempt).toThrow(CkptfsError);
  expect(attempt).toThrow('it was changed since it was checked');
});
