import { MalformedError } from '../base/bytes.ts';
import { BLOCK_ENTRY_SIZE, MAX_BLOCK_TABLE_SIZE } from './remote-index.ts';

/** Bytes of a profile (docs/remote.md). */
export const MAX_PROFILE_SIZE = 1_048_576;
const MAX_RUNS = 65_536;
const MAX_BLOCKS = Math.floor(MAX_BLOCK_TABLE_SIZE / BLOCK_ENTRY_SIZE);
/** What the other members take at most. */
const FRAME_SIZE = 512;
const FORMAT = 'ckptfs access profile';
const VERSION = 1;

/** Blocks of an image that follow each other: the number of the first one, and how many there are. */
export type BlockRun = readonly [first: number, count: number];

/** In which order a restore touched the blocks of an image. Nothing of it is authenticated. */
export interface AccessProfile {
  /** 32 hexadecimal digits. */
  readonly imageId: string;
  /** The SHA-256 of the index whose blocks are meant, 64 hexadecimal digits. */
  readonly index: string;
  /** In the order in which they were touched; each block once. */
  readonly blocks: readonly BlockRun[];
}

export function encodeAccessProfile({ imageId, index, blocks }: AccessProfile): Buffer {
  return Buffer.from(JSON.stringify({ format: FORMAT, version: VERSION, image: imageId, index, blocks }));
}

/** Returns the runs of blocks, each given once, in their order, as far as a profile has room for them. */
export function runsOf(touched: Iterable<number>): BlockRun[] {
  const runs: [number, number][] = [];
  let room = MAX_PROFILE_SIZE - FRAME_SIZE;
  for (const block of touched) {
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === block) {
      last[1]++;
      continue;
    }
    // The count of any run has at most the digits of the greatest one.
    room -= `[${block},${MAX_BLOCKS}],`.length;
    if (room < 0 || runs.length === MAX_RUNS) break;
    runs.push([block, 1]);
  }
  return runs;
}

/**
 * Returns the runs of a profile, in their order; none where it is one of another index.
 * @param index the SHA-256 of the index, 64 hexadecimal digits
 * @param blocks how many the image has
 * @throws MalformedError for a block that the image does not have
 */
export function runsFor(profile: AccessProfile, index: string, blocks: number): readonly BlockRun[] {
  if (profile.index !== index) return [];
  if (profile.blocks.some(([first, count]) => first + count > blocks))
    throw new MalformedError('it has a block that the image does not have');
  return profile.blocks;
}

/**
 * Parses a profile, which is hostile.
 * @throws MalformedError, also for a version that is not known
 */
export function parseAccessProfile(bytes: Uint8Array): AccessProfile {
  const { format, version, image, index, blocks } = parsedObject(bytes);
  if (format !== FORMAT) throw new MalformedError('it is not an access profile of ckptfs');
  if (version !== VERSION) throw new MalformedError(`its version is not ${VERSION}`);
  if (typeof image !== 'string' || !/^[0-9a-f]{32}$/.test(image)) throw new MalformedError('it has no image id');
  if (typeof index !== 'string' || !/^[0-9a-f]{64}$/.test(index)) throw new MalformedError('it names no index');
  if (!Array.isArray(blocks) || blocks.length > MAX_RUNS) throw new MalformedError('its blocks are not a list of them');
  const profile = { imageId: image, index, blocks: blocks.map(parsedRun) };
  checkOnce(profile.blocks);
  if (!encodeAccessProfile(profile).equals(bytes)) throw new MalformedError('it is not in its one canonical form');
  return profile;
}

function parsedObject(bytes: Uint8Array): Record<string, unknown> {
  if (bytes.length > MAX_PROFILE_SIZE) throw new MalformedError(`it has more than ${MAX_PROFILE_SIZE} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    throw new MalformedError('it is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw new MalformedError('it is not an object of JSON');
  return { ...value };
}

function parsedRun(value: unknown): BlockRun {
  const [first, count]: unknown[] = Array.isArray(value) && value.length === 2 ? value : [];
  const isRun = isCount(first) && isCount(count) && count > 0 && first + count <= MAX_BLOCKS;
  if (!isRun) throw new MalformedError('its blocks are not those of an image');
  return [first, count];
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= MAX_BLOCKS;
}

/** @throws MalformedError when a block is in two runs: so all runs have no more blocks than an image */
function checkOnce(runs: readonly BlockRun[]): void {
  let end = 0;
  for (const [first, count] of runs.toSorted(([one], [other]) => one - other)) {
    if (first < end) throw new MalformedError('it has a block twice');
    end = first + count;
  }
}
