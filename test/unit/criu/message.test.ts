// Goal: of a message only the few fields that matter are kept, whatever it has.
import { describe, expect, test } from 'vitest';
import { MalformedError } from '../../../src/base/bytes.ts';
import { Message } from '../../../src/criu/message.ts';
import { field } from '../../support/criu-encryption.ts';

describe('a message', () => {
  test('has the last value of a field that is repeated', () => {
    const message = new Message(
      Buffer.concat([field(1, 5), field(2, Buffer.of(1)), field(2, Buffer.of(2)), field(1, 6)]),
    );
    expect(message.number(1)).toBe(6n);
    expect(Buffer.from(message.part(2) ?? [])).toEqual(Buffer.of(2));
  });

  test('has no fields of high numbers', () => {
    const message = new Message(Buffer.concat([field(32, 5), field(33, Buffer.of(1)), field(31, 7)]));
    expect([message.number(32), message.part(33), message.number(31)]).toEqual([undefined, undefined, 7n]);
  });

  test('of millions of fields takes no memory', () => {
    const fields = Buffer.alloc(16 << 20);
    for (let at = 0; at < fields.length; at += 2) fields[at] = 0x0a;
    const before = process.memoryUsage();
    const message = new Message(fields);
    const after = process.memoryUsage();
    expect(message.part(1)).toHaveLength(0);
    expect(after.heapUsed - before.heapUsed).toBeLessThan(200 << 20);
  });

  test.each([
    ['a group', [0x0b, 0x0c]],
    ['the end of a group', [0x0c]],
    ['groups in groups', Array.from({ length: 100_000 }, () => 0x0b)],
    ['a type that there is not', [0x0e]],
    ['the field 0', [0x00, 0x00]],
    ['a number without an end', [0x08, 0x80]],
    ['a number of eleven bytes', [0x08, ...Array.from({ length: 10 }, () => 0xff), 0x01]],
    ['bytes that are not there', [0x0a, 0x05, 0x01]],
    ['4 GiB of bytes', [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]],
    ['bytes that are not there, in a field that does not matter', [0x82, 0x02, 0x05, 0x01]],
  ])('with %s is malformed', (_, bytes) => {
    expect(() => new Message(Uint8Array.from(bytes))).toThrow(MalformedError);
  });
});
