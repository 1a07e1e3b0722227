import { allVectors } from '../../scripts/vectors/all.ts';
import { jsonText } from '../../scripts/vectors/seal.ts';
import { unpack } from '../../scripts/vectors/vector.ts';
import { MalformedError } from '../../src/base/bytes.ts';
import { CkptfsError } from '../../src/base/errors.ts';
import { encodeHeader, parseHeader } from '../../src/format/header.ts';
import { parseSlot, slotAlgorithm } from '../../src/format/slot.ts';
import { mutate, mutateJson } from './mutate.ts';
import { type FuzzTarget, must } from './target.ts';

const refusals = ['not-an-image', 'unsupported-format', 'damaged'];

/** `ckptfs.json`: what parses encodes to the same bytes; anything else is refused with a code of its own. */
export const headerTarget: FuzzTarget = {
  name: 'header',
  prepare: () => {
    const texts = Object.values(allVectors.header).map((vector) =>
      'input' in vector ? unpack(vector.input) : Buffer.alloc(0),
    );
    const short = texts.filter((text) => text.length < 8192);
    const good = short.slice(0, 4).map((text) => JSON.parse(text.toString()) as unknown);
    return {
      attempt: (random) => {
        const input = random.chance(2)
          ? mutate(random.pick(short), random)
          : Buffer.from(jsonText(mutateJson(random.pick(good), random) ?? null));
        return { input, check: () => checkHeader(input) };
      },
    };
  },
};

function checkHeader(input: Buffer): string {
  try {
    must(encodeHeader(parseHeader(input)).equals(input), 'parses, and encodes to other bytes');
    return 'ok';
  } catch (error) {
    if (!(error instanceof CkptfsError)) throw error;
    must(refusals.includes(error.code), `refused with ${error.code}`);
    must(/^[\x20-\x7e]{1,300}$/.test(error.message), 'a message with bytes of the input in it');
    return error.code;
  }
}

/** One key slot, given as a JSON value. */
export const slotTarget: FuzzTarget = {
  name: 'slot',
  prepare: () => {
    const slots = Object.values(allVectors.slot).map(
      (vector) => JSON.parse('input' in vector ? unpack(vector.input).toString() : 'null') as unknown,
    );
    return {
      attempt: (random) => {
        const value = mutateJson(random.pick(slots), random);
        return { input: Buffer.from(JSON.stringify(value) ?? ''), check: () => checkSlot(value) };
      },
    };
  },
};

function checkSlot(value: unknown): string {
  try {
    const slot = parseSlot(value);
    const { header: _description, ...texts } = slot;
    must(
      Object.values(texts).every((text) => Buffer.from(text, 'base64url').toString('base64url') === text),
      'not canonical',
    );
    must(Object.keys(value as object).length === Object.keys(slot).length, 'a member was lost');
    return slotAlgorithm(slot) === undefined ? 'no algorithm' : 'ok';
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    return 'refused';
  }
}
