// Runs the vectors that suite fips has anything to do with, in this process, by both implementations of the primitives.
// Prints what computed, how many vectors ran, and which of them did not give what they should.
import fs from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Refused, Vector } from '../../../scripts/vectors/vector.ts';
import { cryptoProvider } from '../../../src/crypto/provider.ts';
import {
  expectedResult,
  type Outcome,
  runChunk,
  runHeader,
  runJournalFrame,
  runManifest,
  runSlot,
} from '../../unit/vector-runs.ts';

const root = path.join(import.meta.dirname, '..', '..', 'vectors');

function run(vector: Vector): readonly Promise<Outcome>[] {
  switch (vector.kind) {
    case 'slot':
      return [runSlot(vector)];
    case 'header':
      return [runHeader(vector)];
    case 'manifest':
      return [runManifest(vector)];
    case 'journal-frame':
      return (['openssl', 'node'] as const).map((name) => runJournalFrame(vector, name));
    case 'chunk':
      return (['openssl', 'node'] as const).map((name) => runChunk(vector, name));
    default:
      return [];
  }
}

function isRight(vector: Vector, { stage, result }: Outcome): boolean {
  if (stage !== vector.stage) return false;
  if (stage === 'ok') return isDeepStrictEqual(result, expectedResult(vector.expected));
  const { code, message } = vector.expected as Refused;
  const said = result as Refused;
  return said.code === code && said.message.includes(message);
}

let count = 0;
const wrong: string[] = [];
for (const kind of ['slot', 'header', 'manifest', 'journal-frame', 'chunk']) {
  for (const name of fs.readdirSync(path.join(root, kind))) {
    if (kind !== 'slot' && !/^fips-/.test(name)) continue;
    const vector = JSON.parse(fs.readFileSync(path.join(root, kind, name), 'utf8')) as Vector;
    for (const outcome of run(vector)) {
      count++;
      if (!isRight(vector, await outcome)) wrong.push(`${kind}/${name}`);
    }
  }
}
process.stdout.write(JSON.stringify({ provider: cryptoProvider(), count, wrong }));
