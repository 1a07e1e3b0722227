import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Secret } from '../../../src/crypto/secret.ts';
import { Geometry } from '../../../src/format/geometry.ts';
import { planImage, segmentsInGroup } from '../../../src/image/plan.ts';
import { scanSource } from '../../../src/image/scan-source.ts';
import { sealWorker } from '../../../src/image/seal-worker.ts';
import { createStore } from '../../../src/stores/open-store.ts';

let base: string;
beforeEach(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-seal-'));
});
afterEach(() => fs.rmSync(base, { recursive: true }));

/** Scans `directory`/deep, then seals its file after `change`. */
function sealAfter(directory: string, change: () => void): void {
  const geometry = new Geometry(4096);
  const plan = planImage(scanSource(join(directory, 'deep'), false), geometry);
  const [object] = plan.objects;
  if (object === undefined) throw new Error('nothing to seal');
  const store = createStore(join(base, 'image'));
  store.createObject(object.id.toString('hex')).close();
  const worker = sealWorker({
    job: 'seal',
    store: store.place,
    cipher: 'aes-256-xts',
    chunkSize: 4096,
    imageId: Buffer.alloc(16, 1),
    imageKey: Secret.random(32).shared,
  });
  change();
  try {
    worker.run({ objectId: object.id, object: 0, group: 0, segments: segmentsInGroup(object, 0, geometry) });
  } finally {
    worker.close();
  }
}

test('a directory above the source that leads elsewhere when files are read: source-changed', () => {
  for (const name of ['mine', 'theirs']) {
    fs.mkdirSync(join(base, name, 'deep'), { recursive: true });
    fs.writeFileSync(join(base, name, 'deep', 'pages-1.img'), Buffer.alloc(5000, name));
  }
  const swap = (): void => {
    fs.renameSync(join(base, 'mine'), join(base, 'away'));
    fs.symlinkSync(join(base, 'theirs'), join(base, 'mine'));
  };
  expect(() => sealAfter(join(base, 'mine'), swap)).toThrow(expect.objectContaining({ code: 'source-changed' }));
});

test('the same file by another way is the same', () => {
  fs.mkdirSync(join(base, 'mine', 'deep'), { recursive: true });
  fs.writeFileSync(join(base, 'mine', 'deep', 'pages-1.img'), Buffer.alloc(5000, 1));
  const swap = (): void => {
    fs.renameSync(join(base, 'mine'), join(base, 'away'));
    fs.symlinkSync(join(base, 'away'), join(base, 'mine'));
  };
  expect(() => sealAfter(join(base, 'mine'), swap)).not.toThrow();
});
