// Goal: a directory that CRIU encrypted is read as its plain twin, by any range and in any thread.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { Directory } from '../../../src/base/linux/directory.ts';
import { CriuLayer, hasClearPages } from '../../../src/criu/layer.ts';
import { type CriuLayerFixture, criuLayer, criuLayers } from '../../support/criu-fixtures.ts';
import { MadeLayers, readFrom } from '../../support/made-criu-layer.ts';

const made = new MadeLayers();

afterEach(() => made.end());

function regularFiles(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => statSync(path.join(directory, name)).isFile())
    .sort();
}

describe.each(criuLayers.map((layer): [string, CriuLayerFixture] => [layer.name, layer]))('%s', (_, fixture) => {
  const twinOf = (name: string): Buffer => readFileSync(path.join(fixture.plain, name));

  test('every file equals its plain twin', () => {
    const layer = made.open(fixture.encrypted, fixture.secrets);
    expect(layer.files.map(({ name }) => name.toString())).toEqual(regularFiles(fixture.plain));
    for (const { name, size, storedSize, problem } of layer.files) {
      const twin = twinOf(name.toString());
      expect(problem, name.toString()).toBeUndefined();
      expect(size, name.toString()).toBe(twin.length);
      expect(storedSize).toBe(statSync(path.join(fixture.encrypted, name.toString())).size);
      expect(readFrom(layer, name.toString()).equals(twin), name.toString()).toBe(true);
    }
  });

  test('every range of every file is that of its twin', () => {
    const layer = made.open(fixture.encrypted, fixture.secrets);
    for (const { name } of layer.files) {
      const twin = twinOf(name.toString());
      const range = fc.tuple(fc.nat(twin.length + 10), fc.nat(twin.length + 5000));
      fc.assert(
        fc.property(range, ([offset, length]) => {
          const read = readFrom(layer, name.toString(), offset, length);
          expect(read.equals(twin.subarray(offset, offset + length)), name.toString()).toBe(true);
        }),
        { numRuns: 8 },
      );
    }
  });
});

describe('threads', () => {
  const rich = criuLayer('rich');

  test('another thread reads the same from what the first one shares, and decrypts no image again', () => {
    const first = made.open(rich.encrypted, rich.secrets);
    const directory = Directory.open(rich.encrypted);
    const second = CriuLayer.attach(directory, rich.secrets, structuredClone(first.shared));
    for (const { name } of second.files) {
      const twin = readFileSync(path.join(rich.plain, name.toString()));
      expect(readFrom(second, name.toString()).equals(twin), name.toString()).toBe(true);
    }
    // The memory is one: what is wiped for the first is wiped for the second.
    new Uint8Array(first.shared.memory).fill(0);
    expect(readFrom(second, 'core-20.img').every((byte) => byte === 0)).toBe(true);
    second.close();
    directory.close();
  });

  test('the decrypted images are wiped for all of them', () => {
    const directory = Directory.open(rich.encrypted);
    const layer = CriuLayer.open(directory, rich.secrets);
    expect(layer.locked).toBe(true);
    expect(layer.heldBytes).toBeGreaterThan(20_000);
    expect(new Uint8Array(layer.shared.memory).some((byte) => byte !== 0)).toBe(true);
    layer.close();
    CriuLayer.wipeShared(layer.shared);
    expect(new Uint8Array(layer.shared.memory).every((byte) => byte === 0)).toBe(true);
    directory.close();
  });
});

test('what is stored in clear says so', () => {
  const names = (layer: string, protection: string): string[] => {
    const { encrypted, secrets } = criuLayer(layer);
    const { files } = made.open(encrypted, secrets);
    return files.filter((file) => file.protection === protection).map(({ name }) => name.toString());
  };
  expect(names('page-server', 'clear')).toEqual(['pagemap-20.img', 'pages-65537.img', 'stats-dump']);
  expect(names('rich', 'partly-clear')).toEqual(['ghost-file-2.img']);
  expect(names('rich', 'pages')).toEqual(['pages-1.img', 'pages-2.img', 'pages-3.img', 'pages-4.img']);
  const clear = ['ifaddr-10.img', 'nftables-10.img', 'route-10.img', 'route6-10.img', 'rule-10.img', 'stats-dump'];
  expect(names('namespaces', 'clear')).toEqual(clear);
  const { encrypted, secrets } = criuLayer('page-server');
  expect(hasClearPages(made.open(encrypted, secrets))).toBe(true);
  expect(hasClearPages(made.open(criuLayer('rich').encrypted, criuLayer('rich').secrets))).toBe(false);
});
