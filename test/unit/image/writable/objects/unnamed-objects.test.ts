import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { ioError } from '../../../../../src/base/errors.ts';
import { Geometry } from '../../../../../src/format/geometry.ts';
import { removeUnnamed } from '../../../../../src/image/writable/objects/unnamed-objects.ts';
import { RecordingStore, systemError } from '../../../../support/recording-store.ts';
import { newImage, Session } from '../session.ts';

const geometry = new Geometry(16384);
const named = { id: randomBytes(16), chunks: 3 };
const growing = { id: randomBytes(16), chunks: 3, growing: {} };
const unnamed = randomBytes(16).toString('hex');

function storeWith(sizes: readonly (readonly [id: Buffer | string, size: number])[]): RecordingStore {
  const store = new RecordingStore();
  for (const [id, size] of sizes) {
    const object = store.createObject(id.toString('hex'));
    object.truncate(size);
    object.close();
  }
  return store;
}

/** Ids that are left, and what was warned of. */
function left(store: RecordingStore): { ids: string[]; warnings: string[] } {
  const warnings: string[] = [];
  const ids = store.list().objects.map(({ id }) => id);
  removeUnnamed({ store, geometry }, ids, [named, growing], (line) => warnings.push(line));
  return { ids: store.list().objects.map(({ id }) => id), warnings };
}

test('what an image does not name goes when all that it names is there', () => {
  const store = storeWith([
    [named.id, geometry.objectSize(3)],
    [growing.id, 5],
    [unnamed, 7],
  ]);
  expect(left(store)).toEqual({ ids: [named.id.toString('hex'), growing.id.toString('hex')], warnings: [] });
});

test.each([
  ['is missing', [growing.id]],
  ['is missing', [named.id]],
  ['has another size than when it was sealed', [named.id, growing.id]],
])('nothing goes when an object that it names %s', (reason, ids) => {
  const store = storeWith([
    ...ids.map((id) => [id, reason === 'is missing' ? geometry.objectSize(3) : 5] as const),
    [unnamed, 7],
  ]);
  const result = left(store);
  expect(result.ids).toContain(unnamed);
  expect(result.warnings).toEqual([expect.stringContaining(reason)]);
});

test('an object that is missing is told of also where nothing is to go', () => {
  const result = left(storeWith([[growing.id, 5]]));
  expect(result.ids).toEqual([growing.id.toString('hex')]);
  expect(result.warnings).toEqual([expect.stringContaining('is missing')]);
});

test('sealing an image warns of an object that was removed while the image was written', async () => {
  const begun = await newImage('aes-256-xts', 4096);
  const warnings: string[] = [];
  const session = new Session(begun, { onWarning: (line) => warnings.push(line) });
  session.apply({ kind: 'create', directory: 0, name: 'a' });
  session.apply({ kind: 'write', file: 0, offset: 0, length: 5000, seed: 1 });
  session.apply({ kind: 'sync' });
  const [id = ''] = begun.store.list().objects.map((object) => object.id);
  begun.store.disk.names.delete(`objects/${id}`);
  session.image.seal();
  session.close();
  expect(warnings).toEqual([expect.stringContaining(`object ${id} is missing`)]);
});

test('where it cannot be told whether all is there, a writer goes on, and removes nothing', async () => {
  const begun = await newImage('aes-256-xts', 4096);
  const session = new Session(begun);
  session.apply({ kind: 'create', directory: 0, name: 'a' });
  session.apply({ kind: 'write', file: 0, offset: 0, length: 5000, seed: 1 });
  session.apply({ kind: 'sync' });
  session.close();
  begun.store.createObject(unnamed).close();
  const warnings: string[] = [];
  const { openObject } = begun.store;
  const before = begun.store.log.length;
  begun.store.openObject = (id) => {
    // Not before the image was taken over.
    if (begun.store.log.length === before) return openObject.call(begun.store, id);
    throw ioError('open', 'memory', systemError('EMFILE'));
  };
  const again = new Session(begun, { onWarning: (line) => warnings.push(line) }, session.root);
  Reflect.deleteProperty(begun.store, 'openObject');
  again.check();
  expect(begun.store.list().objects.map(({ id }) => id)).toContain(unnamed);
  expect(warnings.filter((line) => line.includes('were not removed'))).toHaveLength(1);
  again.close();
  // The lock is free.
  new Session(begun, {}, session.root).close();
});
