import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import type { CkptfsError } from '../../../src/base/errors.ts';
import { encodeRemoteIndex, type RemoteIndex, type RemotePart } from '../../../src/format/remote-index.ts';
import type { RemoteStore } from '../../../src/remote/shared/remote-store.ts';

/** The part that has these bytes. */
export function partOf(bytes: Uint8Array): RemotePart {
  return { digest: createHash('sha256').update(bytes).digest('hex'), size: bytes.length };
}

/** Stores bytes as a part. */
export async function putBytes(store: RemoteStore, bytes: Buffer): Promise<RemotePart> {
  const part = partOf(bytes);
  await store.putPart(part, () => Readable.from([bytes]));
  return part;
}

/** An index of an image with one object and files of one part each, which are 8 bytes or more. */
export function indexOf(
  header: RemotePart,
  manifest: RemotePart,
  object: RemotePart,
  table: RemotePart = partOf(Buffer.alloc(25, 'the table')),
): RemoteIndex {
  const file = (name: string, { digest, size }: RemotePart) => ({ name, size, parts: [{ digest, size }] });
  return {
    imageId: '11'.repeat(16),
    cipher: 'aes-256-xts',
    partSize: 1 << 20,
    files: [
      file('ckptfs.json', header),
      file('manifest', manifest),
      { ...file(`objects/ab/${'ab'.repeat(16)}`, object), size: 4096 * Math.ceil(object.size / 4096) },
    ],
    blocks: { size: 17 * Math.ceil(object.size / 262_144), parts: [table] },
  };
}

/** What every store of a remote image promises (src/remote/shared/remote-store.ts). */
export function testRemoteStore(
  name: string,
  use: (body: (store: RemoteStore) => Promise<void>) => Promise<void>,
): void {
  describe(`${name}, by the contract`, () => {
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 7) % 251));

    const get = async (store: RemoteStore, part: RemotePart, start: number, end: number): Promise<Buffer> => {
      const chunks: Buffer[] = [];
      await store.getRange(part, start, end, (chunk) => chunks.push(Buffer.from(chunk)));
      return Buffer.concat(chunks);
    };

    test('has nothing at first, and what is not there is damage', () =>
      use(async (store) => {
        expect(await store.readIndex()).toBeUndefined();
        expect(await store.readProfile()).toBeUndefined();
        expect(await store.hasPart(partOf(bytes))).toBe(false);
        const failure = await get(store, partOf(bytes), 0, 10).catch((error: CkptfsError) => error.code);
        expect(failure).toBe('damaged');
        expect(await store.remove()).toBe(false);
      }));

    test('keeps parts, and gives any range of one', () =>
      use(async (store) => {
        const part = await putBytes(store, bytes);
        await putBytes(store, bytes);
        expect(await store.hasPart(part)).toBe(true);
        expect((await get(store, part, 0, part.size)).equals(bytes)).toBe(true);
        for (const [start, end] of [
          [0, 1],
          [4096, 8192],
          [69_999, 70_000],
        ] as const) {
          expect((await get(store, part, start, end)).equals(bytes.subarray(start, end))).toBe(true);
        }
      }));

    test('refuses bytes that have another digest than their name', () =>
      use(async (store) => {
        const other = partOf(Buffer.alloc(bytes.length));
        const failure = await store
          .putPart(other, () => Readable.from([bytes]))
          .catch((error: CkptfsError) => error.code);
        expect(failure).toBe('source-changed');
        expect(await store.hasPart(other)).toBe(false);
      }));

    test('puts an index in place, replaces it, and removes it with its profile', () =>
      use(async (store) => {
        const [header, manifest, object] = [
          await putBytes(store, Buffer.from('the header')),
          await putBytes(store, Buffer.from('the manifest')),
          await putBytes(store, bytes),
        ];
        const table = await putBytes(store, Buffer.alloc(25, 'the table'));
        const first = indexOf(header, manifest, object, table);
        await store.publish(first, encodeRemoteIndex(first));
        expect(await store.readIndex()).toEqual(first);
        const second = indexOf(manifest, header, object, table);
        await store.publish(second, encodeRemoteIndex(second));
        expect(await store.readIndex()).toEqual(second);
        expect(await store.readProfile()).toBeUndefined();
        for (const profile of [bytes, Buffer.from('another')]) {
          await store.writeProfile(profile);
          expect((await store.readProfile())?.equals(profile)).toBe(true);
        }
        expect(await store.remove()).toBe(true);
        expect(await store.readIndex()).toBeUndefined();
        // The same image again, which the profile would belong to.
        await store.publish(second, encodeRemoteIndex(second));
        expect(await store.readProfile()).toBeUndefined();
      }));
  });
}
