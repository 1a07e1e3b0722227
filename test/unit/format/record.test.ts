import { describe, expect, test } from 'vitest';
import { Geometry } from '../../../src/format/geometry.ts';
import { isHole, isRecordWellFormed, nextData, nextHole, readHoles, writeHoles } from '../../../src/format/record.ts';

function record(holesAndFlags: string): DataView {
  const bytes = Buffer.concat([Buffer.alloc(5), Buffer.alloc(28, 0xaa), Buffer.from(holesAndFlags, 'hex')]);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

describe('chunk record', () => {
  test('holes are little-endian at 28, and flags follow them', () => {
    expect(readHoles(record('34120000'), 5)).toBe(0x1234);
    const view = record('ffffffff');
    writeHoles(view, 5, 0x1234);
    expect(Buffer.from(view.buffer, view.byteOffset + 5 + 28, 4).toString('hex')).toBe('34120000');
  });

  test.each([
    [4096, '01000000', true],
    [4096, '02000000', false],
    [16384, '0f000000', true],
    [16384, '10000000', false],
    [16384, '00010000', false],
    [65536, 'ffff0000', true],
    [65536, '00000100', false],
    [65536, '00000001', false],
    [65536, '00000080', false],
  ])('with chunks of %i, %s is well formed: %s', (chunkSize, holesAndFlags, expected) => {
    expect(isRecordWellFormed(record(holesAndFlags), 5, new Geometry(chunkSize))).toBe(expected);
  });

  test('runs of data and of holes', () => {
    const holes = 0b0110_0001;
    expect([0, 1, 4, 5, 6, 7].map((sector) => isHole(holes, sector))).toEqual([true, false, false, true, true, false]);
    expect(nextData(holes, 0, 8)).toBe(1);
    expect(nextHole(holes, 1, 8)).toBe(5);
    expect(nextData(holes, 5, 8)).toBe(7);
    expect(nextHole(holes, 7, 8)).toBe(8);
    expect(nextData(holes, 8, 8)).toBe(8);
    expect(nextData(0xffff, 0, 16)).toBe(16);
    expect(nextHole(0, 3, 16)).toBe(16);
  });
});
