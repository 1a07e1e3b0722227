import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { discardImage } from '../../../src/image/discard-image.ts';
import { readAnyHeader } from '../../../src/image/read/image.ts';
import { openEphemeral } from '../../../src/image/writable/open-ephemeral.ts';
import { createEphemeral } from '../../../src/library/new-ephemeral.ts';
import { openEphemeralStore, openStore } from '../../../src/stores/open-store.ts';

let base: string;
let destination: string;
beforeEach(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-ephemeral-'));
  destination = join(base, 'enc');
});
afterEach(() => fs.rmSync(base, { recursive: true }));

test('the image has a mark in place of a header, which every reader refuses, and can be removed whole', () => {
  const { image } = createEphemeral({ destination });
  const store = openStore(destination);
  expect(() => readAnyHeader(store)).toThrow(
    expect.objectContaining({
      code: 'not-an-image',
      data: { reason: 'ephemeral' },
      message: expect.stringMatching(`image ${image.imageId} is ephemeral, made at .*: its key was never stored`),
    }),
  );
  store.close();
  expect(discardImage(image.made)).toBe(true);
  expect(fs.existsSync(destination)).toBe(false);
});

test('what a killed process left gives way to a new one, but not one that is in use', () => {
  const first = createEphemeral({ destination });
  const store = openEphemeralStore(destination);
  const writer = openEphemeral(store, first.image, first.imageKey);
  expect(() => createEphemeral({ destination })).toThrow(expect.objectContaining({ code: 'locked' }));
  writer.close();
  store.close();
  fs.writeFileSync(join(destination, 'lock'), 'left by a killed process\n');
  const second = createEphemeral({ destination });
  expect(second.image.imageId).not.toBe(first.image.imageId);
  expect(fs.readdirSync(destination).sort()).toEqual(['ckptfs.json', 'objects']);
});

test('anything else is left alone', () => {
  const exists = expect.objectContaining({ code: 'exists' });
  fs.mkdirSync(destination, { mode: 0o700 });
  fs.writeFileSync(join(destination, 'ckptfs.json'), '{"format":"ckptfs","version":1,"ephemeral":"never"}');
  expect(() => createEphemeral({ destination })).toThrow(exists);
  expect(fs.readdirSync(destination)).toEqual(['ckptfs.json']);
  const file = join(base, 'file');
  fs.writeFileSync(file, 'x');
  expect(() => createEphemeral({ destination: file })).toThrow(exists);
  createEphemeral({ destination: join(base, 'mixed') });
  fs.writeFileSync(join(base, 'mixed', 'mine'), 'x');
  expect(() => createEphemeral({ destination: join(base, 'mixed') })).toThrow(exists);
  expect(fs.readFileSync(join(base, 'mixed', 'mine'), 'utf8')).toBe('x');
});
