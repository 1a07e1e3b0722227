import { describe, expect, test } from 'vitest';
import { Geometry } from '../../../src/format/geometry.ts';
import {
  clearSectorBits,
  copyNonce,
  isHole,
  isRecordWellFormed,
  nextData,
  nextHole,
  readHoles,
  setSectorBits,
  tagOffset,
  writeRecordHead,
} from '../../../src/format/record.ts';

const OFFSET = 5;
const sizes = [4096, 8192, 16384, 32768, 65536];

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** A record at an offset, all bits of its nonce and tags set that may be. */
function record(holesAndFlags: string, geometry: Geometry): DataView {
  const tags = Buffer.alloc(12 * geometry.sectorsPerChunk, 0xff);
  const fields = [Buffer.alloc(11, 0xff), Buffer.of(0xf0), Buffer.from(holesAndFlags, 'hex'), tags];
  return viewOf(Buffer.concat([Buffer.alloc(OFFSET, 0xff), Buffer.concat(fields, geometry.recordSize)]));
}

describe('chunk record', () => {
  test('holes are little-endian at 12, then the sectors of a compressed chunk, then tags, then zeros', () => {
    const geometry = new Geometry(8192);
    expect(readHoles(record('34120000', geometry), OFFSET)).toBe(0x1234);
    const bytes = Buffer.alloc(OFFSET + geometry.recordSize + 1, 0xaa);
    writeRecordHead(viewOf(bytes), OFFSET, 0b10, 3, geometry);
    const expected = ['aa'.repeat(OFFSET + 12), '02000300', 'aa'.repeat(24), '00'.repeat(24), 'aa'];
    expect(bytes.toString('hex')).toBe(expected.join(''));
    expect([0, 1, 15].map(tagOffset)).toEqual([16, 28, 196]);
  });

  test('the nonce of a sector differs from that of the record in four bits', () => {
    const from = viewOf(Buffer.alloc(20, 0xff));
    clearSectorBits(from, OFFSET, new Geometry(4096));
    const to = viewOf(Buffer.alloc(12));
    copyNonce(from, OFFSET, to);
    for (const sector of [15, 0, 7, 8]) {
      setSectorBits(to, sector);
      const expected = `${'ff'.repeat(11)}f${sector.toString(16)}`;
      expect(Buffer.from(to.buffer, to.byteOffset, 12).toString('hex')).toBe(expected);
    }
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
    const geometry = new Geometry(chunkSize);
    expect(isRecordWellFormed(record(holesAndFlags, geometry), OFFSET, geometry)).toBe(expected);
  });

  test('a record of suite fips has a whole nonce', () => {
    const geometry = new Geometry(4096, 'fips');
    const view = viewOf(Buffer.alloc(OFFSET + geometry.recordSize));
    view.setUint8(OFFSET + 11, 0xff);
    clearSectorBits(view, OFFSET, geometry);
    expect(view.getUint8(OFFSET + 11)).toBe(0xff);
    expect(isRecordWellFormed(view, OFFSET, geometry)).toBe(true);
    expect(isRecordWellFormed(view, OFFSET, new Geometry(4096))).toBe(false);
  });

  test.each(sizes)('with chunks of %i, any bit that means nothing makes it malformed, and no other', (chunkSize) => {
    const geometry = new Geometry(chunkSize);
    const view = record('00000000', geometry);
    for (let bit = 0; bit < 8 * geometry.recordSize; bit++) {
      const at = OFFSET + (bit >> 3);
      view.setUint8(at, view.getUint8(at) ^ (1 << (bit & 7)));
      const isSector = bit >= 88 && bit < 92;
      const isHoleBeyond = bit >= 96 + geometry.sectorsPerChunk && bit < 112;
      const isFlagOrPadding = (bit >= 112 && bit < 128) || bit >= 8 * tagOffset(geometry.sectorsPerChunk);
      expect(isRecordWellFormed(view, OFFSET, geometry)).toBe(!(isSector || isHoleBeyond || isFlagOrPadding));
      view.setUint8(at, view.getUint8(at) ^ (1 << (bit & 7)));
    }
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
