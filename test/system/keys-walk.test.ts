// Goal: the walk through the life of keys in docs/keys.md can be copied.
// Method: its commands run as they are written, one after the other, and print what is written below them.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, test } from 'vitest';
import { walk } from './support/walk.ts';

const base = mkdtempSync(join(tmpdir(), 'ckptfs-keys-walk-'));
afterAll(() => rmSync(base, { recursive: true }));

test('the walk of docs/keys.md can be typed, and prints what it says', () => {
  mkdirSync(join(base, 'walk'));
  walk({ page: 'keys.md', directory: join(base, 'walk'), config: join(base, 'config') });
});
