// The state of a container is JSON of the runtime, in which much comes from the author of the container.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MalformedError } from '../../../../src/base/bytes.ts';
import { parseContainerState } from '../../../../src/cli/hooks/container-state.ts';

const parse = (value: unknown) => parseContainerState(Buffer.from(JSON.stringify(value)));

test('keeps id, status and pid of what runc writes, and nothing else', () => {
  const annotations = { 'org.example': 'x' };
  const state = { ociVersion: '1.0.2-dev', id: 'c1', status: 'creating', pid: 83, bundle: '/b', annotations };
  expect(parse(state)).toEqual({ id: 'c1', status: 'creating', pid: 83 });
});

test.each([{}, { pid: 0 }])('has no pid where there is none: %j', (pid) => {
  expect(parse({ id: 'a_b.c+d-e', status: 'stopped', ...pid })).toEqual({
    id: 'a_b.c+d-e',
    status: 'stopped',
    pid: undefined,
  });
});

const refused: [value: unknown, reason: string][] = [
  [null, 'it is not an object'],
  [[], 'it is not an object'],
  [{ status: 'creating' }, 'it has no valid id'],
  [{ id: '', status: 'creating' }, 'it has no valid id'],
  [{ id: 'a,allow_other', status: 'creating' }, 'it has no valid id'],
  [{ id: 'a\nb', status: 'creating' }, 'it has no valid id'],
  [{ id: 'a/../b', status: 'creating' }, 'it has no valid id'],
  [{ id: 'a'.repeat(1025), status: 'creating' }, 'it has no valid id'],
  [{ id: 'a' }, 'it has no status'],
  [{ id: 'a', status: 1 }, 'it has no status'],
  [{ id: 'a', status: 'creating', pid: -1 }, 'its pid is not one'],
  [{ id: 'a', status: 'creating', pid: 1.5 }, 'its pid is not one'],
  [{ id: 'a', status: 'creating', pid: '1' }, 'its pid is not one'],
  [{ id: 'a', status: 'creating', pid: 2 ** 23 }, 'its pid is not one'],
  [{ id: 'a', status: 'creating', pid: null }, 'its pid is not one'],
];

test.each(refused)('%j is refused: %s', (value, reason) => {
  expect(() => parse(value)).toThrow(new MalformedError(reason));
});

test('no bytes make it fail otherwise', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        expect(() => parseContainerState(bytes)).toThrow(MalformedError);
      },
    ),
  );
});
