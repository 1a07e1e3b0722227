import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { Directory } from '../../../src/base/linux/directory.ts';
import { Region } from '../../../src/base/linux/native.ts';
import { CriuLayer } from '../../../src/criu/layer.ts';
import { type CriuLayerFixture, criuLayers } from '../../support/criu-fixtures.ts';

const open: { close(): void }[] = [];

afterEach(() => {
  for (const each of open.splice(0).reverse()) each.close();
});

function opened(path: string, secrets: Uint8Array): CriuLayer {
  const directory = Directory.open(path);
  const layer = CriuLayer.open(directory, secrets);
  open.push(directory, { close: () => CriuLayer.wipeShared(layer.shared) }, layer);
  return layer;
}

function read(layer: CriuLayer, file: number, offset = 0, length?: number): Buffer {
  const wanted = length ?? layer.files[file]?.size ?? 0;
  const out = new Region(wanted + 8);
  const found = layer.read(file, offset, wanted, out, 4);
  expect(out.bytes.subarray(0, 4)).toEqual(Buffer.alloc(4));
  expect(out.bytes.subarray(4 + found)).toEqual(Buffer.alloc(wanted + 4 - found));
  return out.bytes.subarray(4, 4 + found);
}

function regularFiles(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => statSync(path.join(directory, name)).isFile())
    .sort();
}

describe.each(criuLayers.map((layer): [string, CriuLayerFixture] => [layer.name, layer]))('%s', (_, fixture) => {
  test('every file equals its plain twin', () => {
    const layer = opened(fixture.encrypted, fixture.secrets);
    expect(layer.files.map(({ name }) => name.toString())).toEqual(regularFiles(fixture.plain));
    for (const [index, { name, size, problem }] of layer.files.entries()) {
      const twin = readFileSync(path.join(fixture.plain, name.toString()));
      expect(problem, name.toString()).toBeUndefined();
      expect(size, name.toString()).toBe(twin.length);
      expect(read(layer, index).equals(twin), name.toString()).toBe(true);
    }
  });
});
