import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HeldStore } from '../../../../src/serve/daemon/held-store.ts';
import { LocalStore } from '../../../../src/stores/local-store.ts';
import type { StoreIdentity } from '../../../../src/stores/store.ts';

let base: string;
let location: string;
beforeEach(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-held-store-'));
  location = join(base, 'enc');
  fs.mkdirSync(location);
});
afterEach(() => fs.rmSync(base, { recursive: true }));

/** Returns what a command remembers of the image before it starts a daemon. */
function identityOf(path: string): StoreIdentity {
  const store = new LocalStore(path);
  try {
    return store.identity();
  } finally {
    store.close();
  }
}

test('the directory that the command checked is held, also when it moves afterwards', () => {
  const held = HeldStore.open({ location, image: identityOf(location), write: true });
  try {
    fs.renameSync(location, join(base, 'moved'));
    expect(held.location).toBe(join(base, 'moved'));
  } finally {
    held.close();
  }
});

test('another directory that has taken its place is refused', () => {
  const image = identityOf(location);
  fs.renameSync(location, join(base, 'moved'));
  fs.mkdirSync(location);
  for (const write of [false, true]) {
    expect(() => HeldStore.open({ location, image, write })).toThrow(expect.objectContaining({ code: 'wrong-image' }));
  }
});
