import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Secret } from '../../../../src/crypto/secret.ts';
import { Geometry } from '../../../../src/format/geometry.ts';
import { planImage, segmentsInGroup } from '../../../../src/image/create/plan.ts';
import { scanSource } from '../../../../src/image/create/scan-source.ts';
import { sealWorker } from '../../../../src/image/create/seal-worker.ts';
import { openSource } from '../../../../src/image/create/source.ts';
import { shareNames } from '../../../../src/image/create/source-names.ts';
import { createStore } from '../../../../src/stores/open-store.ts';

let base: string;
beforeEach(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-seal-'));
});
afterEach(() => fs.rmSync(base, { recursive: true }));

/** Scans `directory`/deep, then seals its file after `change`. */
function sealAfter(directory: string, change: () => void): void {
  const geometry = new Geometry(4096);
  const source = openSource(join(directory, 'deep'));
  const tree = scanSource(source, false);
  const plan = planImage(tree, geometry);
  const [object] = plan.objects;
  if (object === undefined) throw new Error('nothing to seal');
  const store = createStore(join(base, 'image'));
  store.createObject(object.id.toString('hex')).close();
  const worker = sealWorker({
    job: 'seal',
    store: store.place,
    suite: 'default',
    cipher: 'aes-256-xts',
    chunkSize: 4096,
    compression: undefined,
    effort: undefined,
    imageId: Buffer.alloc(16, 1),
    imageKey: Secret.random(32).shared,
    source: { root: source.root.fd, location: source.location, names: shareNames(tree.inodes) },
  });
  change();
  try {
    worker.run({ objectId: object.id, object: 0, group: 0, segments: segmentsInGroup(object, 0, geometry) });
  } finally {
    worker.close();
    source.root.close();
  }
}

test('reads what was scanned, even if a directory above the source leads elsewhere meanwhile', () => {
  for (const name of ['mine', 'theirs']) {
    fs.mkdirSync(join(base, name, 'deep'), { recursive: true });
    fs.writeFileSync(join(base, name, 'deep', 'pages-1.img'), Buffer.alloc(5000, name));
  }
  const swap = (): void => {
    fs.renameSync(join(base, 'mine'), join(base, 'away'));
    fs.symlinkSync(join(base, 'theirs'), join(base, 'mine'));
  };
  expect(() => sealAfter(join(base, 'mine'), swap)).not.toThrow();
});

test.each([
  ['a link to another directory', (at: string) => fs.symlinkSync('../theirs', at)],
  ['another directory', (at: string) => fs.renameSync(join(base, 'theirs'), at)],
  ['nothing', () => undefined],
])('%s in the place of a directory of the source: source-changed', (_, replace) => {
  const inside = join(base, 'mine', 'deep', 'inside');
  for (const directory of [inside, join(base, 'theirs')]) {
    fs.mkdirSync(directory, { recursive: true });
    fs.writeFileSync(join(directory, 'pages-1.img'), Buffer.alloc(5000, 'x'));
  }
  const swap = (): void => {
    fs.renameSync(inside, join(base, 'away'));
    replace(inside);
  };
  expect(() => sealAfter(join(base, 'mine'), swap)).toThrow(expect.objectContaining({ code: 'source-changed' }));
});
