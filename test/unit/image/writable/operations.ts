import fc from 'fast-check';

/**
 * Something done to an image. Numbers that name a file, directory or entry count through those there are, and begin
 * again.
 */
export type Operation =
  | {
      readonly kind: 'create' | 'mkdir' | 'symlink' | 'fifo' | 'socket';
      readonly directory: number;
      readonly name: string;
    }
  | { readonly kind: 'link'; readonly file: number; readonly directory: number; readonly name: string }
  | { readonly kind: 'remove'; readonly entry: number; readonly keepOpen: boolean }
  | {
      readonly kind: 'rename';
      readonly entry: number;
      readonly directory: number;
      readonly name: string;
      readonly how: 'replace' | 'no-replace' | 'exchange';
    }
  | {
      readonly kind: 'write';
      readonly file: number;
      readonly offset: number;
      readonly length: number;
      readonly seed: number;
    }
  | { readonly kind: 'truncate'; readonly file: number; readonly size: number }
  | { readonly kind: 'punch'; readonly file: number; readonly offset: number; readonly length: number }
  | { readonly kind: 'commit' | 'sync' | 'reopen' | 'seal' | 'release' };

const pick = fc.nat(40);
const name = fc.constantFrom('a', 'b', 'c', 'd', 'e');

/** A place in a file of a few chunks, often at the start of a chunk or a sector. */
function place(chunkSize: number): fc.Arbitrary<number> {
  return fc.oneof(
    fc.nat(6).map((chunk) => chunk * chunkSize),
    fc.nat(20).map((sector) => sector * 4096),
    fc.nat(6 * chunkSize),
  );
}

export function operation(chunkSize: number): fc.Arbitrary<Operation> {
  const at = place(chunkSize);
  const length = at.map((value) => value + 1).chain((value) => fc.constantFrom(value, Math.max(1, value - 1)));
  return fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('create' as const), directory: pick, name }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('mkdir' as const), directory: pick, name }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constantFrom('symlink' as const, 'fifo', 'socket'), directory: pick, name }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('link' as const), file: pick, directory: pick, name }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant('remove' as const), entry: pick, keepOpen: fc.boolean() }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('rename' as const),
        entry: pick,
        directory: pick,
        name,
        how: fc.constantFrom('replace' as const, 'no-replace' as const, 'exchange' as const),
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('write' as const),
        file: pick,
        offset: at,
        length,
        seed: fc.nat(250),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('truncate' as const), file: pick, size: at }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('punch' as const), file: pick, offset: at, length }) },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constantFrom('commit' as const, 'commit', 'sync', 'sync', 'reopen', 'seal', 'release'),
      }),
    },
  );
}
