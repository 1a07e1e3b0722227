import { allVectors } from '../../scripts/vectors/all.ts';
import { acceptedEntries } from '../../scripts/vectors/journal-accepted.ts';
import { CHUNK_SIZE } from '../../scripts/vectors/sample.ts';
import { type JournalFrameVector, unpack, type Vector } from '../../scripts/vectors/vector.ts';
import { MalformedError } from '../../src/base/bytes.ts';
import { JournalCipher } from '../../src/crypto/journal-cipher.ts';
import { Secret } from '../../src/crypto/secret.ts';
import { primitives } from '../../src/crypto/select.ts';
import { Geometry } from '../../src/format/geometry.ts';
import {
  decodeEntries,
  encodeEntries,
  encodeJournalHeader,
  parseJournalHeader,
} from '../../src/format/journal-codec.ts';
import { mutate, mutateInPlace } from './mutate.ts';
import { type FuzzTarget, must } from './target.ts';

function inputsOf(vectors: Readonly<Record<string, Vector>>): Buffer[] {
  return Object.values(vectors).flatMap((vector) => ('input' in vector ? [unpack(vector.input)] : []));
}

/** The plaintext of a frame, as only a holder of the key can make it: what decodes encodes to itself. */
export const entriesTarget: FuzzTarget = {
  name: 'entries',
  prepare: () => {
    const seeds = inputsOf(allVectors['journal-entries']);
    const good = inputsOf(acceptedEntries);
    return {
      attempt: (random) => {
        const seed = random.pick(random.chance(3) ? seeds : good);
        const input = random.chance(2) ? mutate(seed, random) : mutateInPlace(seed, random);
        return { input, check: () => checkEntries(input) };
      },
    };
  },
};

const geometry = new Geometry(CHUNK_SIZE);

function checkEntries(input: Buffer): string {
  try {
    must(encodeEntries(decodeEntries(input, geometry), geometry).equals(input), 'decodes, and encodes to other bytes');
    return 'ok';
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return 'refused';
  }
}

/** A journal's header and the frame after it: a change of either is refused. */
export const frameTarget: FuzzTarget = {
  name: 'frame',
  prepare: () => {
    const seeds = (Object.values(allVectors['journal-frame']) as JournalFrameVector[]).filter(
      ({ stage }) => stage === 'ok',
    );
    return {
      attempt: (random) => {
        const seed = random.pick(seeds);
        const original = Buffer.concat([Buffer.from(seed.header, 'hex'), unpack(seed.input)]);
        const input = random.chance(3) ? mutate(original, random) : mutateInPlace(original, random);
        return { input, check: () => checkFrame(input, original, seed) };
      },
    };
  },
};

const HEADER_SIZE = 32;

function checkFrame(input: Buffer, original: Buffer, { suite, imageKey, imageId, number }: JournalFrameVector): string {
  const [header, frame] = [input.subarray(0, HEADER_SIZE), input.subarray(HEADER_SIZE)];
  try {
    must(encodeJournalHeader(parseJournalHeader(header)).equals(header), 'parses, and encodes to other bytes');
    const key = Secret.copy(Buffer.from(imageKey, 'hex'));
    const cipher = new JournalCipher(primitives(), key, Buffer.from(imageId, 'hex'), header, suite);
    const opens = cipher.open(number, frame) !== undefined;
    cipher.dispose();
    key.wipe();
    must(opens === input.equals(original), opens ? 'a forgery opens' : 'the original does not open');
    return opens ? 'opens' : 'not authentic';
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return 'refused';
  }
}
