import { readFileSync } from 'node:fs';
import { MalformedError } from '../../src/base/bytes.ts';
import { readAttributes } from '../../src/keys/kmip/attributes.ts';
import { decodeResponse, OperationFailure } from '../../src/keys/kmip/messages.ts';
import type { OperationName } from '../../src/keys/kmip/tags.ts';
import { decodeTtlv, encodeTtlv } from '../../src/keys/kmip/ttlv.ts';
import { mutate } from './mutate.ts';
import type { Random } from './random.ts';
import { type FuzzTarget, must } from './target.ts';

const operations: readonly OperationName[] = ['get', 'getAttributes', 'query', 'decrypt', 'locate'];

/** Answers of KMIP servers: what is accepted is encoded to the same bytes again, and all else is refused as such. */
export const kmipTarget: FuzzTarget = {
  name: 'kmip',
  prepare: () => {
    const recorded = recordedAnswers();
    return {
      attempt: (random) => {
        const answer = random.pick(recorded);
        const input = random.chance(20) ? answer : random.chance(3) ? relength(answer, random) : mutate(answer, random);
        const operation = random.pick(operations);
        return { input, check: () => check(input, operation) };
      },
    };
  },
};

function recordedAnswers(): Buffer[] {
  const file = new URL('../vectors/kmip/pykmip-1.4.json', import.meta.url);
  const { messages }: { messages: { request: string; response: string }[] } = JSON.parse(readFileSync(file, 'utf8'));
  return messages.flatMap(({ request, response }) => [Buffer.from(response, 'hex'), Buffer.from(request, 'hex')]);
}

/** Changes a type or a length at a place where an item begins. */
function relength(answer: Buffer, random: Random): Buffer {
  const changed = Buffer.from(answer);
  const place = 8 * random.below(answer.length / 8);
  if (random.chance(2)) changed.writeUInt8(random.below(13), place + 3);
  else changed.writeUInt32BE(random.pick([0, 1, 4, 7, 8, 9, 16, answer.length, 0x7fffffff, 0xffffffff]), place + 4);
  return changed;
}

function check(input: Buffer, operation: OperationName): string {
  try {
    const item = decodeTtlv(input);
    must(encodeTtlv(item).equals(input), 'other bytes than were decoded');
  } catch (error) {
    if (error instanceof MalformedError) return 'malformed';
    throw error;
  }
  try {
    const payload = decodeResponse(input, operation);
    if (operation === 'getAttributes') readAttributes('1.4', payload);
    return 'answer';
  } catch (error) {
    if (error instanceof MalformedError) return 'no answer';
    if (error instanceof OperationFailure) return 'refusal';
    throw error;
  }
}
