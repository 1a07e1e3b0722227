import { expect, test } from 'vitest';
import { ioErrorName } from '../../../../../src/base/errors.ts';
import { Region } from '../../../../../src/base/linux/native.ts';
import { Geometry } from '../../../../../src/format/geometry.ts';
import type { DiskOperation } from '../../../../support/memory-disk.ts';
import { systemError } from '../../../../support/recording-store.ts';
import { describeModel, modelOfSealed, newImage, patternBytes, Session } from '../session.ts';

const chunkSize = 16384;
const geometry = new Geometry(chunkSize);

/** Refuses what a limit of file size refuses (RLIMIT_FSIZE). */
function limitedTo(size: number): (operation: DiskOperation) => Error | undefined {
  return (operation) => {
    const end =
      operation.kind === 'write'
        ? operation.position + operation.bytes.length
        : operation.kind === 'truncate'
          ? operation.size
          : 0;
    return end > size ? systemError('EFBIG') : undefined;
  };
}

test('a new object asks for no more file size than the chunks that were written', async () => {
  const begun = await newImage('aes-256-xts', chunkSize);
  const session = new Session(begun, {});
  session.apply({ kind: 'create', directory: 0, name: 'a' });
  session.apply({ kind: 'write', file: 0, offset: 0, length: 6, seed: 1 });
  session.apply({ kind: 'commit' });
  const sizes = begun.store.list().objects.map(({ size }) => size);
  expect(sizes).toEqual([2 * 4096 + chunkSize]);
  session.check();
  session.apply({ kind: 'reopen' });
  session.check();
  session.apply({ kind: 'seal' });
  session.check();
  session.close();
});

test('what does not fit into an object because of the limit of file size goes into another one', async () => {
  const begun = await newImage('aes-256-xts', chunkSize);
  const session = new Session(begun, { poolSize: 8 * chunkSize });
  begun.store.fault = limitedTo(21 * chunkSize);
  session.apply({ kind: 'create', directory: 0, name: 'a' });
  for (let at = 0; at < 20; at++) {
    session.apply({ kind: 'write', file: 0, offset: at * 90_000, length: 90_000, seed: at });
    session.apply({ kind: at % 3 === 0 ? 'commit' : 'sync' });
    session.check();
  }
  expect(begun.store.list().objects.length).toBeGreaterThan(5);
  session.image.seal();
  session.close();
  expect(describeModel(modelOfSealed(begun))).toBe(describeModel(session.root));
});

test('a write that no object takes is refused with the errno, and is stored when the limit has gone', async () => {
  const begun = await newImage('aes-256-xts', chunkSize);
  const session = new Session(begun, {});
  begun.store.fault = limitedTo(10 * chunkSize);
  session.apply({ kind: 'create', directory: 0, name: 'a' });
  const large = new Region(patternBytes(1, 20 * chunkSize));
  const number = session.image.lookup(1, Buffer.from('a')) as number;
  let refused: unknown;
  try {
    session.image.write(number, 0, large.length, large, 0);
  } catch (error) {
    refused = error;
  }
  expect(ioErrorName(refused)).toBe('EFBIG');
  session.check();
  begun.store.fault = undefined;
  session.apply({ kind: 'write', file: 0, offset: 0, length: 20 * chunkSize, seed: 2 });
  session.apply({ kind: 'seal' });
  session.check();
  session.close();
});

test('a chunk that would end beyond the limit when its object is finished goes into another object', async () => {
  const begun = await newImage('aes-256-xts', chunkSize);
  const session = new Session(begun, {});
  session.apply({ kind: 'create', directory: 0, name: 'a' });
  session.apply({ kind: 'write', file: 0, offset: 0, length: 2 * chunkSize, seed: 1 });
  // Room for the first sector of another chunk, and not for the whole of it.
  begun.store.fault = limitedTo(2 * 4096 + 2 * chunkSize + 4096);
  session.apply({ kind: 'write', file: 0, offset: 2 * chunkSize, length: 6, seed: 2 });
  session.apply({ kind: 'sync' });
  session.image.seal();
  session.close();
  expect(begun.store.list().objects.length).toBe(2);
  expect(describeModel(modelOfSealed(begun))).toBe(describeModel(session.root));
});

test('an object whose limit is met at the end of a group has as many digests as tag pages', async () => {
  const begun = await newImage('aes-256-xts', chunkSize);
  const session = new Session(begun, {});
  const { chunksPerGroup, groupSize } = geometry;
  begun.store.fault = limitedTo(geometry.objectSize(chunksPerGroup));
  session.apply({ kind: 'create', directory: 0, name: 'a' });
  session.apply({ kind: 'write', file: 0, offset: 0, length: groupSize, seed: 1 });
  session.apply({ kind: 'sync' });
  session.apply({ kind: 'write', file: 0, offset: groupSize, length: 6, seed: 2 });
  session.apply({ kind: 'sync' });
  session.image.seal();
  session.close();
  expect(begun.store.list().objects.length).toBe(2);
  expect(describeModel(modelOfSealed(begun))).toBe(describeModel(session.root));
});
