// Goal: a writable mount holds what a plain tree would, whatever is done to it.
// Method: random operations run on a real mount and on a model, over seals and kills.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { runFsx } from '../fsx/run.ts';
import { WritableMount } from '../support/writable-mount.ts';
import { describeIf, systemTest } from './support/requirements.ts';

describeIf(['root', 'fuse'], 'random operations on a mount that can be written', () => {
  let base: string;
  let mount: WritableMount;
  beforeEach(() => {
    base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-fsx-')));
    mount = new WritableMount(base);
  });
  afterEach(() => {
    mount.discard();
    fs.rmSync(base, { recursive: true });
  });

  systemTest([], 'give what they give in a model, over seals and kills', async () => {
    mount.mount();
    const report = await runFsx(mount, {
      seed: 5,
      operations: 18_000,
      operationsPerSeal: 4000,
      operationsPerKill: 2500,
    });
    expect(report['write']).toBeGreaterThan(4000);
  });

  // Small chunks, so that most operations cover many; the other kind of cipher.
  systemTest([], 'give the same in chunks of 4 KiB under ChaCha20-Poly1305', async () => {
    mount.mount('--cipher', 'chacha20-poly1305', '--chunk-size', '4K');
    await runFsx(mount, { seed: 6, operations: 2000, operationsPerSeal: 700, operationsPerKill: 1000 });
  });

  systemTest([], 'give the same in compressed chunks', async () => {
    mount.mount('--compress', 'lz4');
    await runFsx(mount, { seed: 7, operations: 1500, operationsPerSeal: 500, operationsPerKill: 700 });
  });
});
