import { MalformedError } from '../base/bytes.ts';
import { BLOCK_SIZE } from './blocks.ts';
import type { Extensions } from './extensions.ts';
import type { Header } from './header.ts';
import { fieldOf, numberOf } from './header-fields.ts';
import {
  BLOCK_RANGES,
  checkedMap,
  decimal,
  gnuBlockPairs,
  gnuHeaderPairs,
  HEADER_RANGES,
  MAX_RANGES,
  paxPairs,
  type SparseMap,
  wholeFile,
} from './sparse-map.ts';

/** The flags of files that may have records about holes. */
const FILE_FLAGS = ['0', '\0', '7'];

/** Where a map goes on, a block at a time. A block is overwritten by the next one. */
interface Blocks {
  /** Blocks between header and contents. */
  readonly header: () => Promise<Buffer>;
  /** Blocks at the start of the contents. */
  readonly contents: () => Promise<Buffer>;
}

/** The map of a member, and its name if that is with the map. */
export interface NamedMap extends SparseMap {
  readonly name?: Buffer;
}

/**
 * Reads where a member has data: in GNU tar's own format, or in the PAX formats 0.0, 0.1 and 1.0 (GNU tar manual,
 * "Sparse Formats"). A member without a map is one run.
 * @param size bytes that the archive has of it
 * @param block the header block
 * @throws MalformedError
 */
export async function readSparseMap(
  header: Header,
  { sparse, sparsePairs }: Extensions,
  size: number,
  block: Buffer,
  more: Blocks,
): Promise<NamedMap> {
  const hasRecords = sparse.size > 0 || sparsePairs.length > 0;
  if (header.type === 'S') {
    if (hasRecords || !header.isGnu) throw new MalformedError('a sparse file in two formats, or in none');
    return gnuMap(block, size, more.header);
  }
  if (!hasRecords) return wholeFile(size);
  // Programs take a map for contents, for a header, or for nothing, where a member cannot have contents.
  if (!FILE_FLAGS.includes(header.type)) throw new MalformedError('a sparse map of what is not a file');
  if (sparse.has('size') && sparse.has('realsize')) throw new MalformedError('two sizes of a sparse file');
  const name = sparse.get('name');
  const named = name === undefined ? {} : { name: Buffer.from(name, 'latin1') };
  if (sparse.has('major') || sparse.has('minor')) {
    const isKnown = sparse.get('major') === '1' && sparse.get('minor') === '0' && !sparse.has('map');
    if (!isKnown || sparsePairs.length > 0) throw new MalformedError('a sparse map of a format that is not known');
    return { ...(await contentsMap(realSize(sparse, 'realsize'), size, more.contents)), ...named };
  }
  const map = sparse.get('map');
  if (map !== undefined && sparsePairs.length > 0) throw new MalformedError('two sparse maps for one member');
  const pairs = map === undefined ? sparsePairs : paxPairs(map);
  // Some programs look for the count, and some take a file with an empty map for one without.
  const count = sparse.get('numblocks');
  if (count === undefined || pairs.length === 0) throw new MalformedError('a sparse file without its map');
  if (decimal(count) * 2 !== pairs.length) {
    throw new MalformedError('a sparse map of another length than it says');
  }
  return { ...checkedMap(pairs, realSize(sparse, 'size'), size), ...named };
}

async function gnuMap(block: Buffer, size: number, next: Blocks['header']): Promise<SparseMap> {
  if (numberOf(fieldOf(block, 'gnuOffset'), 'offset') !== 0) throw new MalformedError('a file of several volumes');
  const real = safe(numberOf(fieldOf(block, 'gnuRealSize'), 'size'));
  let { pairs, isExtended } = gnuHeaderPairs(block);
  const all = [...pairs];
  let room = HEADER_RANGES;
  while (isExtended) {
    // Some programs read on after the end of a map, and some do not.
    if (pairs.length < 2 * room) throw new MalformedError('a sparse map that goes on after its end');
    room = BLOCK_RANGES;
    ({ pairs, isExtended } = gnuBlockPairs(await next()));
    all.push(...pairs);
    limit(all.length / 2);
  }
  return checkedMap(all, real, size);
}

/** Reads a map of decimal numbers, a line each: how many pairs, and the pairs. It fills whole blocks. */
async function contentsMap(real: number, size: number, next: Blocks['contents']): Promise<SparseMap> {
  const numbers: number[] = [];
  let wanted = 1;
  let rest = '';
  let blocks = 0;
  for (; numbers.length < wanted; blocks++) {
    const lines = `${rest}${(await next()).toString('latin1')}`.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (numbers.length === wanted) break;
      numbers.push(decimal(line));
      if (numbers.length === 1) wanted = 1 + 2 * limit(numbers[0] ?? 0);
    }
    // A number has far fewer digits than a block has bytes.
    if (numbers.length < wanted && rest.length >= BLOCK_SIZE) throw new MalformedError('a sparse map without lines');
  }
  return checkedMap(numbers.slice(1), real, size - blocks * BLOCK_SIZE);
}

function realSize(sparse: ReadonlyMap<string, string>, key: 'realsize' | 'size'): number {
  const size = sparse.get(key);
  if (size === undefined) throw new MalformedError('a sparse file without its size');
  return safe(decimal(size));
}

function safe(size: number): number {
  if (!Number.isSafeInteger(size) || size < 0) throw new MalformedError('a sparse file with a size out of range');
  return size;
}

function limit(ranges: number): number {
  if (ranges > MAX_RANGES) throw new MalformedError(`a sparse map of more than ${MAX_RANGES} runs`);
  return ranges;
}
