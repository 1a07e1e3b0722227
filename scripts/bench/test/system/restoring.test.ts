// A restored process tells by itself when it had read all its memory, and whether it is what was dumped.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeIf, toolEnvironment } from '../../../../test/system/support/requirements.ts';
import { compiled } from '../../bench.ts';
import { type Checkpoint, checkpoint } from '../../checkpoint.ts';
import { type RestoreOptions, restore } from '../../restoring.ts';

describeIf(['root', 'criu'], 'the checkpoint of two processes', () => {
  let base: string;
  let images: Checkpoint;
  beforeAll(async () => {
    process.env['PATH'] = toolEnvironment['PATH'];
    base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-restoring-'));
    const bench = {
      newDirectory(name: string) {
        fs.mkdirSync(join(base, name), { recursive: true });
        return join(base, name);
      },
      compiled: (name: string) => compiled(name, base),
    };
    images = await checkpoint(bench, 'images', 2, 1024);
  });
  afterAll(() => fs.rmSync(base, { recursive: true }));

  test.for<RestoreOptions>([{}, { lazy: true }, { waits: true }])(
    'is restored, and both find their memory (%o)',
    async (options) => {
      const restored = await restore(images, images.path, options);
      const all = await restored.readAll();
      await restored.end();
      expect(restored.runs).toBeGreaterThan(restored.began);
      expect(all).toBeGreaterThan(restored.runs);
    },
  );

  test('is restored twice at once', async () => {
    const both = await Promise.all([0, 1].map(() => restore(images, images.path, { waits: true })));
    for (const restored of both) await restored.readAll();
    for (const restored of both) await restored.end();
  });

  test('is found to be damaged where a page is not what it was', async () => {
    const damaged = join(base, 'damaged');
    fs.cpSync(images.path, damaged, { recursive: true });
    const pages = join(damaged, fs.readdirSync(damaged).find((name) => name.startsWith('pages-')) ?? '');
    const size = fs.statSync(pages).size;
    const file = fs.openSync(pages, 'r+');
    // Both ends of the file are the memory of the program itself; its patterns fill most of the rest.
    fs.writeSync(file, Buffer.alloc(4096), 0, 4096, Math.floor(size / 8192) * 4096);
    fs.closeSync(file);
    const restored = await restore(images, damaged);
    await expect(restored.readAll()).rejects.toThrow('damaged');
    await restored.end();
  });

  test('that is not there fails with the words of criu', async () => {
    await expect(restore(images, join(base, 'missing'))).rejects.toThrow('criu restore');
  });
});
