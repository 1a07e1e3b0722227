import { join } from 'node:path';
import type { Random } from '../fuzz/random.ts';

/** Bytes of the largest file. */
export const MAX_SIZE = 1 << 20;
/** The root, and what is made in it, parents first. */
export const directories = ['', 'one', 'two', 'one/three'];
const names = ['a', 'b', 'c', 'd'];

export function pathFrom(random: Random): string {
  return join(random.pick(directories), random.pick(names));
}

/** A range that begins within `limit` bytes and ends there at the latest, of at least one byte. */
export function rangeFrom(random: Random, limit: number): [offset: number, length: number] {
  const grain = random.pick([1, 1, 512, 4096, 16384]);
  const wanted = Math.floor(random.below(limit) / grain) * grain + random.pick([0, 0, 0, 1, -1]);
  const offset = Math.min(Math.max(wanted, 0), limit - 1);
  const length = 1 + random.below(random.pick([1, 100, 4096, 20_000, 100_000, 400_000]));
  return [offset, Math.min(random.chance(3) ? roundUp(length, grain) : length, limit - offset)];
}

function roundUp(value: number, grain: number): number {
  return Math.ceil(value / grain) * grain;
}

/** Bytes that tell one write from another; now and then zeros. */
export function dataFrom(random: Random, length: number): Buffer {
  if (random.chance(12)) return Buffer.alloc(length);
  const block = random.bytes(Math.min(length, 61));
  return length === 0 ? block : Buffer.alloc(length, block);
}
