import { chunkVectors } from './chunks.ts';
import { headerVectors } from './headers.ts';
import { acceptedEntries } from './journal-accepted.ts';
import { frameVectors } from './journal-frames.ts';
import { refusedEntries } from './journal-refused.ts';
import { keysVectors } from './keys.ts';
import { acceptedPlaintexts } from './manifest-accepted.ts';
import { refusedPlaintexts } from './manifest-plaintexts.ts';
import { manifestVectors } from './manifests.ts';
import { objectVectors } from './objects.ts';
import { signaturesVectors } from './signatures.ts';
import { slotVectors } from './slots.ts';
import type { NamedVectors, Vector } from './vector.ts';

/** Every vector, by its folder below test/vectors/. */
export const allVectors: Readonly<Record<Vector['kind'], NamedVectors>> = {
  keys: keysVectors,
  slot: slotVectors,
  header: headerVectors,
  signatures: signaturesVectors,
  'manifest-plaintext': { ...acceptedPlaintexts, ...refusedPlaintexts },
  manifest: manifestVectors,
  'journal-entries': { ...acceptedEntries, ...refusedEntries },
  'journal-frame': frameVectors,
  object: objectVectors,
  chunk: chunkVectors,
};

/** The text of a vector's file. */
export function vectorText(vector: Vector): string {
  return `${JSON.stringify(vector, null, 2)}\n`;
}
