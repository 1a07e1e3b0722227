import { closeSync, existsSync, writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { Region } from '../../../../src/base/linux/native.ts';
import { receiveAll, sendAll } from '../../../../src/base/linux/stream-socket.ts';
import { LazyStore } from '../../../../src/remote/lazy/lazy-store.ts';
import {
  decodeRequest,
  encodeBlockHead,
  encodeFault,
  REQUEST_SIZE,
  TOUCHED,
  WANT,
} from '../../../../src/remote/lazy/protocol.ts';
import { LazyImage, OBJECT, URL } from './lazy-images.ts';

const PAGE = 4096;
/** Page 1 is all zeros. */
const object = Buffer.concat([Buffer.alloc(PAGE, 'a'), Buffer.alloc(PAGE), Buffer.alloc(PAGE, 'c')]);
const made: LazyImage[] = [];

function lazyImage(): { image: LazyImage; store: LazyStore } {
  const image = new LazyImage(object);
  made.push(image);
  return { image, store: new LazyStore(image.place, () => false) };
}
afterEach(() => {
  for (const image of made.splice(0)) image.close();
});

/** Answers before it is asked, which a thread that waits cannot tell. */
function answer({ fetcher, packed }: LazyImage, block: number): void {
  const bytes = packed[block] ?? Buffer.alloc(0);
  sendAll(fetcher, new Region(Buffer.concat([encodeBlockHead(bytes.length), bytes])));
}
function requests({ fetcher }: LazyImage, count: number): unknown[] {
  const bytes = new Region(count * REQUEST_SIZE);
  receiveAll(fetcher, bytes, 0, bytes.length);
  return Array.from({ length: count }, (_, at) => decodeRequest(bytes.bytes.subarray(at * REQUEST_SIZE)));
}
function read(store: LazyStore, position: number, length: number): Buffer {
  const to = new Region(length);
  const stored = store.openObject(OBJECT);
  const count = stored.read(to, 0, length, position);
  stored.close();
  return to.bytes.subarray(0, count);
}

test('blocks come from the process that fetches, those of zeros from nowhere, and are kept', () => {
  const { image, store } = lazyImage();
  answer(image, 0);
  answer(image, 2);
  expect(read(store, 0, 4 * PAGE).equals(object)).toBe(true);
  expect(read(store, PAGE - 10, PAGE + 20).equals(object.subarray(PAGE - 10, 2 * PAGE + 10))).toBe(true);
  expect(requests(image, 2)).toEqual([
    { operation: WANT, block: 0 },
    { operation: WANT, block: 2 },
  ]);
  expect(store.list()).toEqual({ objects: [{ id: OBJECT, size: object.length }], unexpected: [] });
  expect(store.location).toBe(URL);
  expect(() => store.openObject('cd'.repeat(16))).toThrow(expect.objectContaining({ code: 'damaged' }));
});

test('blocks come from files of the cache, and the process that fetches is told', () => {
  const { image, store } = lazyImage();
  for (const block of [0, 2]) writeFileSync(image.cached(block), image.packed[block] ?? '');
  expect(read(store, 0, object.length).equals(object)).toBe(true);
  expect(requests(image, 2)).toEqual([
    { operation: TOUCHED, block: 0 },
    { operation: TOUCHED, block: 2 },
  ]);
  expect(store.mend()).toBe(false);
  closeSync(image.fetcher);
});

test('a file with other bytes is found when it is asked for, removed, and fetched', () => {
  const { image, store } = lazyImage();
  const wrong = Buffer.from(image.packed[0] ?? '');
  wrong.write('x', wrong.length - 1);
  writeFileSync(image.cached(0), wrong);
  expect(read(store, 0, PAGE).equals(object.subarray(0, PAGE))).toBe(false);
  expect(store.mend()).toBe(true);
  expect(existsSync(image.cached(0))).toBe(false);
  answer(image, 0);
  expect(read(store, 0, PAGE).equals(object.subarray(0, PAGE))).toBe(true);
  expect(store.mend()).toBe(false);
});

test('a file of another size, or with a map that does not fit, is not used', () => {
  const { image, store } = lazyImage();
  writeFileSync(image.cached(0), 'short');
  writeFileSync(image.cached(2), Buffer.alloc(image.packed[2]?.length ?? 0));
  answer(image, 0);
  answer(image, 2);
  expect(read(store, 0, object.length).equals(object)).toBe(true);
});

test('an answer that is an error is one for that read alone', () => {
  const { image, store } = lazyImage();
  sendAll(image.fetcher, new Region(encodeFault('store-unavailable', 'no route')));
  expect(() => read(store, 0, 1)).toThrow(expect.objectContaining({ code: 'io', message: 'no route' }));
  sendAll(image.fetcher, new Region(encodeFault('damaged', 'other bytes')));
  expect(() => read(store, 0, 1)).toThrow(expect.objectContaining({ code: 'damaged' }));
  answer(image, 0);
  expect(read(store, 0, 1).toString()).toBe('a');
});

test('what cannot be an answer ends the connection, and what is kept or cached can still be read', () => {
  const { image, store } = lazyImage();
  answer(image, 0);
  expect(read(store, 0, 1).toString()).toBe('a');
  sendAll(image.fetcher, new Region(encodeBlockHead(PAGE)));
  const gone = expect.objectContaining({ code: 'io', message: expect.stringContaining(`${URL}: the process`) });
  expect(() => read(store, 2 * PAGE, 1)).toThrow(gone);
  answer(image, 2);
  expect(() => read(store, 2 * PAGE, 1)).toThrow(gone);
  writeFileSync(image.cached(2), image.packed[2] ?? '');
  expect(read(store, 0, object.length).equals(object)).toBe(true);
});

test('the end of the process that fetches is an error at once', () => {
  const { image, store } = lazyImage();
  closeSync(image.fetcher);
  expect(() => read(store, 0, 1)).toThrow(expect.objectContaining({ code: 'io' }));
});

test('an index or a table that is not one is damaged', () => {
  for (const [name, bytes] of [
    ['index', '{}'],
    ['blocks', 'short'],
  ] as const) {
    const image = new LazyImage(object);
    made.push(image);
    image.write(name, Buffer.from(bytes));
    expect(() => new LazyStore(image.place, () => false)).toThrow(
      expect.objectContaining({ code: 'damaged', message: expect.stringContaining(URL) }),
    );
  }
});
