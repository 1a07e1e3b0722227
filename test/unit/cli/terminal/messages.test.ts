import { expect, test } from 'vitest';
import { CkptfsError, ioError } from '../../../../src/base/errors.ts';
import { hintFor } from '../../../../src/cli/hints.ts';
import { debugText, exitCodeOf, failureLine } from '../../../../src/cli/terminal/messages.ts';

test('a failure is one line: what is wrong, then what to do', () => {
  const error = new CkptfsError('exists', 'out exists', { data: { reason: 'not-empty' } });
  expect(failureLine(error)).toBe(`ckptfs: out exists. ${hintFor(error)}`);
  expect(failureLine(new CkptfsError('io', 'why?'))).toBe('ckptfs: why?');
  expect(exitCodeOf(error)).toBe(4);
});

test('a name in a message cannot forge a line or act on a terminal', () => {
  const cause = Object.assign(new Error('x'), { code: 'ENOENT' });
  const line = failureLine(ioError('open', 'a\nckptfs: all is well\x1b[2K', cause));
  expect(line).toBe('ckptfs: cannot open a\\nckptfs: all is well\\x1b[2K: no such file or directory.');
});

test('an error of any other class is reported as an internal fault', () => {
  expect(failureLine(new TypeError('x is undefined'))).toMatch(/^ckptfs: internal fault: x is undefined\. .*--debug/);
  expect(failureLine('thrown text')).toContain('thrown text');
  expect(exitCodeOf(new TypeError('x'))).toBe(1);
});

test('debug text has the codes and stacks of the whole chain', () => {
  const root = Object.assign(new Error('root'), { code: 'EACCES' });
  const text = debugText(new CkptfsError('io', 'top', { cause: root }));
  expect(text).toMatch(/^\[io\] CkptfsError: top\n\s+at /);
  expect(text).toMatch(/\ncaused by: \[EACCES\] Error: root\n/);
});
