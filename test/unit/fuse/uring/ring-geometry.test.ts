import { describe, expect, test } from 'vitest';
import { ringGeometry } from '../../../../src/fuse/uring/ring-geometry.ts';

/**
 * What Linux 6.18 on x86-64 made of io_uring_setup(2) for 8 entries with IORING_SETUP_SQE128, _SINGLE_ISSUER and
 * _DEFER_TASKRUN.
 */
const RECORDED =
  '0800000010000000003400000000000000000000ffff030000000000000000000000000000000000' +
  '00000000040000001000000018000000240000002000000040010000000000000000000000000000' +
  '080000000c000000140000001c0000002c0000004000000028000000000000000000000000000000';

function parameters(change: (view: DataView) => void = () => undefined): DataView {
  const bytes = Uint8Array.from(Buffer.from(RECORDED, 'hex'));
  const view = new DataView(bytes.buffer);
  change(view);
  return view;
}

describe('the geometry of a ring', () => {
  test('is read from what the kernel tells', () => {
    expect(ringGeometry(parameters())).toEqual({
      submissionTail: 4,
      submissionArray: 320,
      completionHead: 8,
      completionTail: 12,
      completions: 64,
      submissionEntries: 8,
      completionEntries: 16,
      ringsLength: 352,
      entriesLength: 1024,
    });
  });

  test.each([
    ['no common mapping', 20, 0],
    ['no entries', 0, 0],
    ['a number of entries that is no power of two', 0, 7],
    ['far too many completions', 4, 1 << 30],
    ['a tail between two numbers', 44, 5],
    ['completions between two numbers', 100, 65],
  ])('with %s it is refused', (_, at, value) => {
    const change = (view: DataView): void => view.setUint32(at, value, true);
    expect(() => ringGeometry(parameters(change))).toThrow(
      expect.objectContaining({ code: 'missing-feature', data: { feature: 'io-uring' } }),
    );
  });
});
