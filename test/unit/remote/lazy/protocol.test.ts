import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ANSWER_HEAD_SIZE,
  decodeAnswerHead,
  decodeRequest,
  encodeBlockHead,
  encodeFault,
  encodeRequest,
  MAX_MESSAGE_SIZE,
  REQUEST_SIZE,
} from '../../../../src/remote/lazy/protocol.ts';

const u32 = fc.nat(0xffffffff);

test('a request is what it was', () => {
  fc.assert(
    fc.property(u32, u32, (operation, block) => {
      const bytes = encodeRequest({ operation, block });
      expect(bytes).toHaveLength(REQUEST_SIZE);
      expect(decodeRequest(bytes)).toEqual({ operation, block });
    }),
  );
});

test('an answer has the block that was asked for, or an error, or is none', () => {
  expect(decodeAnswerHead(encodeBlockHead(4104), 4104)).toEqual({ length: 4104 });
  expect(decodeAnswerHead(encodeBlockHead(4104), 8200)).toBeUndefined();
  fc.assert(
    fc.property(u32, u32, (status, length) => {
      const bytes = Buffer.from(Uint32Array.of(status, length).buffer);
      const head = decodeAnswerHead(bytes, 4104);
      if (head === undefined) return;
      expect(head.length).toBe(length);
      expect(length <= MAX_MESSAGE_SIZE || (status === 0 && length === 4104)).toBe(true);
    }),
  );
});

test('an error has a code that answers have, and a message of bounded size', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 1200 }), (message) => {
      const answer = encodeFault('damaged', message);
      const head = decodeAnswerHead(answer, 8);
      expect(head).toEqual({ length: answer.length - ANSWER_HEAD_SIZE, fault: 'damaged' });
      const said = answer.subarray(ANSWER_HEAD_SIZE).toString('utf8');
      if (Buffer.byteLength(message) <= MAX_MESSAGE_SIZE) expect(said).toBe(message);
    }),
  );
  expect(decodeAnswerHead(encodeFault('internal', 'a fault'), 8)?.fault).toBe('io');
});
