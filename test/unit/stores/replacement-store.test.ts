import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { CkptfsError } from '../../../src/base/errors.ts';
import { ImagePlace } from '../../../src/stores/image-place.ts';
import { ReplacementStore, type ReplacesMark } from '../../../src/stores/replacement-store.ts';

const mark: ReplacesMark = { imageId: '0123456789abcdef0123456789abcdef', how: 'in-place' };
let base: string;
let image: string;
let sibling: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ckptfs-replace-'));
  image = join(base, 'enc');
  sibling = `${image}.reencrypt`;
  mkdirSync(image);
  writeFileSync(join(image, 'ckptfs.json'), '{}');
});
afterEach(() => rmSync(base, { recursive: true }));

function codeOf(action: () => unknown): string {
  try {
    action();
    return 'no error';
  } catch (error) {
    return (error as CkptfsError).code;
  }
}

test('a new image says what it replaces, and can be told from one that was not begun to its end', () => {
  const store = ReplacementStore.make(sibling, mark);
  expect(store.mark()).toEqual(mark);
  for (const torn of ['', mark.imageId, `${mark.imageId} in-place`, `${mark.imageId} moved\n`, 'x'.repeat(99)]) {
    writeFileSync(join(sibling, 'replaces'), torn);
    expect(store.mark()).toBe('torn');
  }
  store.removeMark();
  expect(store.mark()).toBeUndefined();
  store.close();
});

test('a mark is vouched for, again as well, and what is torn of that does not count', () => {
  const store = ReplacementStore.make(sibling, mark);
  const macsOf = (byte: number) => ({ byNew: Buffer.alloc(32, byte), byOld: Buffer.alloc(32, byte + 1) });
  const [first, macs] = [macsOf(1), macsOf(3)];
  store.vouch(mark, first);
  store.vouch(mark, macs);
  expect(store.mark()).toEqual({ ...mark, macs });
  const text = readFileSync(join(sibling, 'replaces'), 'latin1');
  for (const length of [text.indexOf('\n') + 1, text.length - 10, text.length - 1]) {
    writeFileSync(join(sibling, 'replaces'), text.slice(0, length));
    expect(store.mark()).toEqual(mark);
  }
  writeFileSync(join(sibling, 'replaces'), `${text}more`);
  expect(store.mark()).toEqual(mark);
  store.close();
});

test('one process at a time works on it, and it goes with all that an image has', () => {
  const [store, other] = [ReplacementStore.make(sibling, mark), new ReplacementStore(sibling)];
  const lock = store.hold();
  expect(codeOf(() => other.hold())).toBe('locked');
  lock.release();
  other.hold().release();
  store.createObject('0'.repeat(32)).close();
  store.publish('ckptfs.json', Buffer.from('{}'));
  expect(store.discard()).toBe(true);
  expect(readdirSync(base)).toEqual(['enc']);
  for (const each of [store, other]) each.close();
});

test('a trial swap leaves nothing', () => {
  const store = ReplacementStore.make(sibling, mark);
  store.tryExchange();
  expect(readdirSync(join(sibling, 'objects'))).toEqual([]);
  store.close();
});

test('the new image gets the modes of the old one', () => {
  chmodSync(image, 0o750);
  chmodSync(join(image, 'ckptfs.json'), 0o640);
  const [old, store] = [new ReplacementStore(image), ReplacementStore.make(sibling, mark)];
  store.createObject('0'.repeat(32)).close();
  store.takeModesOf(old);
  const modeOf = (...names: string[]): number => statSync(join(sibling, ...names)).mode & 0o7777;
  expect(['.', 'objects', 'objects/00'].map((name) => modeOf(name))).toEqual([0o750, 0o750, 0o750]);
  expect(modeOf('objects', '00', '0'.repeat(32))).toBe(0o640);
  for (const each of [old, store]) each.close();
});

test('two images are swapped, unless another one is at one of the names', () => {
  const place = ImagePlace.hold(image);
  const old = place.openImage();
  expect(place.openSibling()).toBeUndefined();
  const store = ReplacementStore.make(place.siblingPath, mark);
  place.exchange(old.identity(), store.identity());
  expect(readdirSync(image).sort()).toEqual(['objects', 'replaces']);
  expect(readdirSync(sibling)).toEqual(['ckptfs.json']);
  expect(codeOf(() => place.exchange(old.identity(), store.identity()))).toBe('wrong-image');
  for (const each of [place, old, store]) each.close();
});

test('a link beside an image is not followed, and one to an image is', () => {
  symlinkSync(base, sibling);
  symlinkSync(image, join(base, 'link'));
  const place = ImagePlace.hold(join(base, 'link'));
  expect(place.siblingPath).toBe(sibling);
  expect(codeOf(() => place.openSibling())).toBe('exists');
  place.close();
});
