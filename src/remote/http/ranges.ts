import { garbage } from '../shared/faults.ts';
import { fieldOf, type HttpAnswer } from './exchange.ts';

const OK = 200;

/**
 * Checks that an answer has the range that was asked for, and not another one. A whole answer will do where the whole
 * was asked for; its size is compared by who reads it.
 * @param end the byte after the range
 * @throws CkptfsError `store-unavailable`
 */
export function checkRange(location: string, answer: HttpAnswer, start: number, end: number): void {
  if (answer.status === OK && start === 0) return;
  const sent = fieldOf(answer, 'content-range') ?? '';
  if (new RegExp(`^bytes ${start}-${end - 1}/(?:\\d+|\\*)$`).test(sent)) return;
  throw garbage(location, `the server sends another range than bytes ${start} to ${end - 1}`);
}
