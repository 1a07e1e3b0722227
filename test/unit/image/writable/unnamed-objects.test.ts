import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { Geometry } from '../../../../src/format/geometry.ts';
import { removeUnnamed } from '../../../../src/image/writable/unnamed-objects.ts';
import { RecordingStore } from '../../../support/recording-store.ts';

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
  removeUnnamed(store, ids, [named, growing], geometry, (line) => warnings.push(line));
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
  ['has another size than it was sealed with', [named.id, growing.id]],
])('nothing goes when an object that it names %s', (reason, ids) => {
  const store = storeWith([
    ...ids.map((id) => [id, reason === 'is missing' ? geometry.objectSize(3) : 5] as const),
    [unnamed, 7],
  ]);
  const result = left(store);
  expect(result.ids).toContain(unnamed);
  expect(result.warnings).toEqual([expect.stringContaining(reason)]);
});
