import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Header } from '../../../../src/format/header.ts';
import { openImage, readHeader } from '../../../../src/image/read/image.ts';
import { ImageReader } from '../../../../src/image/read/image-reader.ts';
import { openWritable } from '../../../../src/image/writable/open-writable.ts';
import { readKeyFile } from '../../../../src/keys/key-file.ts';
import { unwrapImageKey } from '../../../../src/keys/provider.ts';
import { symmetricKeyProvider } from '../../../../src/keys/symmetric-key.ts';
import { imageDirectory, imageNames, keyFile, listing } from '../../../support/frozen-images.ts';
import { describeImage } from '../../../support/image-content.ts';
import { MemoryDisk } from '../../../support/memory-disk.ts';
import { RecordingStore } from '../../../support/recording-store.ts';
import { operation } from './operations.ts';
import { type BegunImage, describeModel, modelOfSealed, Session } from './session.ts';

/**
 * A frozen image, made by `encrypt`, copied into memory: small files packed into one object, sparse ones, odd names.
 */
async function frozenImage(name: string): Promise<BegunImage> {
  const directory = imageDirectory(name);
  const disk = new MemoryDisk();
  let number = 1;
  for (const file of fs.readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const place = path.join(directory, file);
    if (!fs.statSync(place).isFile()) continue;
    const id = path.basename(file);
    disk.apply({ kind: 'create', file: number, name: id.length === 32 ? `objects/${id}` : id });
    disk.apply({ kind: 'write', file: number++, position: 0, bytes: fs.readFileSync(place) });
  }
  const store = new RecordingStore(disk);
  const header: Header = readHeader(store);
  const imageKey = (
    await unwrapImageKey(header.slots, header.imageId, [symmetricKeyProvider(readKeyFile(keyFile()).key)])
  ).imageKey;
  return { store, header, imageKey };
}

describe.each(imageNames)('the frozen image %s, continued', (name) => {
  test('unchanged and sealed again it is what it was, under a higher epoch', async () => {
    const { store, header, imageKey } = await frozenImage(name);
    const image = openWritable(store, header, imageKey);
    expect(() => readHeader(store)).toThrow(expect.objectContaining({ code: 'unsealed' }));
    image.seal();
    image.close();
    const sealed = openImage(store, readHeader(store), imageKey);
    expect(sealed.manifest.epoch).toBe(2);
    const byPath = (files: readonly { path: string }[]) => new Map(files.map((file) => [file.path, file]));
    expect(byPath(describeImage(sealed, new ImageReader(sealed)))).toEqual(byPath(listing(name)));
  });

  test('whatever is done, it holds what a plain tree would, for its readers too', async () => {
    const frozen = await frozenImage(name);
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation(frozen.header.chunkSize), { minLength: 10, maxLength: 60 }),
        async (operations) => {
          const begun = await frozenImage(name);
          const session = new Session(begun, {}, modelOfSealed(begun));
          try {
            for (const step of operations) session.apply(step);
            session.check();
            session.apply({ kind: 'reopen' });
            session.check();
            session.image.seal();
            session.close();
            expect(describeModel(modelOfSealed(begun))).toBe(describeModel(session.root));
          } finally {
            session.close();
          }
        },
      ),
      { numRuns: 15 },
    );
  });
});
