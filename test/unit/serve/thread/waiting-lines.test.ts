import { expect, test } from 'vitest';
import { MAX_WAITING_LINES, WaitingLines } from '../../../../src/serve/thread/waiting-lines.ts';

test('a bounded number of lines waits, and those that were left out are counted once', () => {
  const memory = new SharedArrayBuffer(WaitingLines.byteLength);
  const [sender, receiver] = [new WaitingLines(memory), new WaitingLines(memory)];
  for (let line = 0; line < MAX_WAITING_LINES; line++) expect(sender.tryAdd()).toBe(true);
  for (let line = 0; line < 3; line++) expect(sender.tryAdd()).toBe(false);
  expect(receiver.take()).toBe(3);
  expect(receiver.take()).toBe(0);
  expect([sender.tryAdd(), sender.tryAdd(), sender.tryAdd()]).toEqual([true, true, false]);
  for (let line = 0; line < MAX_WAITING_LINES; line++) receiver.take();
  expect(sender.tryAdd()).toBe(true);
});
