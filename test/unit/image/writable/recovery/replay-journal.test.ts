import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../../../src/base/errors.ts';
import { JournalCipher } from '../../../../../src/crypto/journal-cipher.ts';
import { primitives } from '../../../../../src/crypto/select.ts';
import { Geometry } from '../../../../../src/format/geometry.ts';
import type { JournalEntry, JournalInode } from '../../../../../src/format/journal.ts';
import { encodeEntries, encodeJournalHeader } from '../../../../../src/format/journal-codec.ts';
import { imageContext } from '../../../../../src/image/objects/image-context.ts';
import { recoverImage } from '../../../../../src/image/writable/close-unsealed.ts';
import { JournalReader } from '../../../../../src/image/writable/journal/journal-reader.ts';
import { openWritable } from '../../../../../src/image/writable/open-writable.ts';
import { diskAfter } from '../../../../support/memory-disk.ts';
import { RecordingStore } from '../../../../support/recording-store.ts';
import { NO_TIMES } from '../../../../support/times.ts';
import type { Operation } from '../operations.ts';
import { type BegunImage, describeImage, describeModel, newImage, Session } from '../session.ts';

const chunkSize = 4096;
const geometry = new Geometry(chunkSize);
const metadata = { mode: 0o600, uid: 0, gid: 0, ...NO_TIMES, xattrs: [] };
const directory: JournalInode = { type: 'directory', ...metadata };
const file: JournalInode = { type: 'file', ...metadata, open: false, lost: false, size: 10 * chunkSize };

const base: JournalEntry = { kind: 'base', epoch: 0 };
const barrier: JournalEntry = { kind: 'barrier' };
const root = inode(1, directory);
const finished: JournalEntry = { kind: 'object', id: Buffer.alloc(16, 1), chunks: 2, digests: Buffer.alloc(32) };
const begunObject: JournalEntry = { kind: 'object', id: Buffer.alloc(16, 2), chunks: 0, digests: Buffer.alloc(0) };
/** A file with a name, inode 2. */
const named = [inode(2, file), name(1, 2, 'f')];
const begin = [base, finished, begunObject, root, ...named];

function inode(number: number, value: JournalInode): JournalEntry {
  return { kind: 'inode', inode: number, value };
}

function name(parent: number, number: number, text: string): JournalEntry {
  return { kind: 'name', parent, inode: number, name: Buffer.from(text) };
}

function chunks(object: number, objectChunk: number, count: number, fileChunk = 0, number = 2): JournalEntry {
  return {
    kind: 'chunks',
    inode: number,
    fileChunk,
    object,
    objectChunk,
    records: Buffer.alloc(geometry.recordSize * count),
  };
}

function extents(
  ...list: readonly (readonly [fileOffset: number, objectOffset: number, length: number])[]
): JournalEntry {
  return {
    kind: 'extents',
    inode: 2,
    extents: list.map(([fileOffset, objectOffset, length]) => ({ fileOffset, object: 0, objectOffset, length })),
  };
}

/** Puts a journal of these frames in place, made with the image's own key. */
async function imageWithJournal(frames: readonly (readonly JournalEntry[])[]): Promise<BegunImage> {
  const begun = await newImage('aes-256-xts', chunkSize);
  putJournal(begun, frames);
  return begun;
}

function putJournal({ store, header, imageKey }: BegunImage, frames: readonly (readonly JournalEntry[])[]): void {
  const journalHeader = encodeJournalHeader(randomBytes(16));
  const cipher = new JournalCipher(primitives(), imageKey, header.imageId, journalHeader);
  const draft = store.beginJournal();
  draft.append(journalHeader);
  for (const [number, entries] of frames.entries()) draft.append(cipher.seal(number, encodeEntries(entries, geometry)));
  draft.publish();
}

describe('a journal that authenticates and contradicts itself is damaged', () => {
  const journals: Readonly<
    Record<string, { readonly reason: string; readonly frames: readonly (readonly JournalEntry[])[] }>
  > = {
    'no frame': { reason: 'it has no beginning', frames: [] },
    'no base': { reason: 'it has no beginning', frames: [[root], [barrier]] },
    'base twice': { reason: 'a second entry "base"', frames: [[base, root], [barrier], [base]] },
    'snapshot without an end': {
      reason: 'it ends within its first snapshot',
      frames: [[base, root], [inode(2, directory)]],
    },
    'no root': { reason: 'no root directory', frames: [[base], [barrier]] },
    'a seal there never was': {
      reason: 'it continues seal 1',
      frames: [[{ kind: 'base', epoch: 1 }, root], [barrier]],
    },
    'object twice': { reason: 'for the second time', frames: [[...begin, begunObject], [barrier]] },
    'name of an unknown inode': { reason: 'no inode 9', frames: [[...begin, name(1, 9, 'x')], [barrier]] },
    'name in an unknown inode': { reason: 'no inode 9', frames: [[...begin, name(9, 2, 'x')], [barrier]] },
    'name in a file': {
      reason: 'a name in inode 2, which is not a directory',
      frames: [[...begin, name(2, 2, 'x')], [barrier]],
    },
    'unname in a file': {
      reason: 'a name in inode 2, which is not a directory',
      frames: [[...begin, { kind: 'unname', parent: 2, name: Buffer.from('x') }], [barrier]],
    },
    'inode that changes its type': {
      reason: 'inode 2 changes its type',
      frames: [[...begin, inode(2, directory)], [barrier]],
    },
    'symbolic link that changes its target': {
      reason: 'inode 3, a symbolic link, changes its target',
      frames: [
        [
          ...begin,
          inode(3, { type: 'symlink', ...metadata, target: Buffer.from('a') }),
          inode(3, { type: 'symlink', ...metadata, target: Buffer.from('b') }),
        ],
        [barrier],
      ],
    },
    'directory with two names': {
      reason: 'a directory with two names',
      frames: [[...begin, inode(3, directory), name(1, 3, 'a'), name(1, 3, 'b')], [barrier]],
    },
    'directories in a circle': {
      reason: 'directories that no path from the root leads to',
      frames: [[...begin, inode(3, directory), inode(4, directory), name(3, 4, 'a'), name(4, 3, 'b')], [barrier]],
    },
    'directory in another than the one it was put into last': {
      reason: 'directory 5 is not in the directory that it was put into last',
      frames: [
        [
          ...begin,
          ...[3, 4, 5].map((number) => inode(number, directory)),
          ...[name(1, 3, 'a'), name(1, 4, 'b'), name(3, 5, 'c'), name(4, 5, 'c')],
          { kind: 'unname', parent: 4, name: Buffer.from('c') },
        ],
        [barrier],
      ],
    },
    'directory without a name that is not empty': {
      reason: 'directory 3 has no name and is not empty',
      frames: [[...begin, inode(3, directory), name(3, 2, 'x')], [barrier]],
    },
    'gone, with a name': {
      reason: 'inode 2 is removed and has a name',
      frames: [[...begin, { kind: 'gone', inode: 2 }], [barrier]],
    },
    'gone, and never there': {
      reason: 'no inode 7',
      frames: [[...begin, { kind: 'gone', inode: 7 }], [barrier]],
    },
    'gone, a directory that is not empty': {
      reason: 'directory 3 has no name and is not empty',
      frames: [[...begin, inode(3, directory), name(3, 2, 'x'), { kind: 'gone', inode: 3 }], [barrier]],
    },
    'chunks of an unknown inode': {
      reason: 'no inode 9',
      frames: [[...begin, chunks(1, 0, 1, 0, 9)], [barrier]],
    },
    'chunks of a directory': {
      reason: 'contents for inode 1, which is not a file',
      frames: [[...begin, chunks(1, 0, 1, 0, 1)], [barrier]],
    },
    'chunks of an unknown object': {
      reason: 'object 2, but only 2 are known',
      frames: [[...begin, chunks(2, 0, 1)], [barrier]],
    },
    'chunks of an object that is finished': {
      reason: 'a chunk that its object cannot have',
      frames: [[...begin, chunks(0, 0, 1)], [barrier]],
    },
    'chunks beyond the most an object has': {
      reason: 'a chunk that its object cannot have',
      frames: [[...begin, chunks(1, 65535, 2)], [barrier]],
    },
    'a chunk of two records': {
      reason: 'two records of one chunk',
      frames: [
        [
          ...begin,
          chunks(1, 3, 1),
          {
            ...chunks(1, 3, 1, 1),
            records: Buffer.from(`01${'00'.repeat(geometry.recordSize - 1)}`, 'hex'),
          } as JournalEntry,
        ],
        [barrier],
      ],
    },
    'chunks beyond the end of the file': {
      reason: 'contents beyond the end of their file',
      frames: [[...begin, chunks(1, 0, 2, 9)], [barrier]],
    },
    'extents of an unknown object': {
      reason: 'object 5, but only 2 are known',
      frames: [
        [...begin, { kind: 'extents', inode: 2, extents: [{ fileOffset: 0, object: 5, objectOffset: 0, length: 1 }] }],
        [barrier],
      ],
    },
    'extents of an object that is not finished': {
      reason: 'an extent outside the chunks of a finished object',
      frames: [
        [...begin, { kind: 'extents', inode: 2, extents: [{ fileOffset: 0, object: 1, objectOffset: 0, length: 1 }] }],
        [barrier],
      ],
    },
    'extents beyond their object': {
      reason: 'an extent outside the chunks of a finished object',
      frames: [[...begin, extents([0, chunkSize, chunkSize + 1])], [barrier]],
    },
    'extents beyond the end of the file': {
      reason: 'an extent beyond the end of its file',
      frames: [[...begin, extents([10 * chunkSize - 1, 0, 2])], [barrier]],
    },
    'extents in chunks beyond a size that came later': {
      reason: 'contents beyond the end of their file',
      frames: [[...begin, extents([0, 0, chunkSize + 1]), inode(2, { ...file, size: chunkSize })], [barrier]],
    },
    'extents after holes of the same file': {
      reason: 'extents of a file that has chunks or holes already',
      frames: [[...begin, { kind: 'holes', inode: 2, fileChunk: 5, count: 1 }, extents([0, 0, 1])], [barrier]],
    },
    'a name taken out that is not there': {
      reason: 'no such name in directory 1',
      frames: [[...begin, { kind: 'unname', parent: 1, name: Buffer.from('x') }], [barrier]],
    },
    'extents out of order': {
      reason: 'extents out of order',
      frames: [[...begin, extents([100, 0, 100]), extents([150, 0, 10])], [barrier]],
    },
    'extents of a file that has chunks': {
      reason: 'extents of a file that has chunks or holes already',
      frames: [[...begin, chunks(1, 0, 1), extents([chunkSize, 0, 10])], [barrier]],
    },
    'a FIFO that was a socket': {
      reason: 'inode 3 changes its type',
      frames: [
        [...begin, inode(3, { type: 'socket', ...metadata }), inode(3, { type: 'fifo', ...metadata })],
        [barrier],
      ],
    },
    'chunks of a FIFO': {
      reason: 'contents for inode 3, which is not a file',
      frames: [[...begin, inode(3, { type: 'fifo', ...metadata }), name(1, 3, 'p'), chunks(1, 0, 1, 0, 3)], [barrier]],
    },
    'a name in a socket': {
      reason: 'a name in inode 3, which is not a directory',
      frames: [[...begin, inode(3, { type: 'socket', ...metadata }), name(1, 3, 's'), name(3, 2, 'x')], [barrier]],
    },
    'holes in a directory': {
      reason: 'contents for inode 1, which is not a file',
      frames: [[...begin, { kind: 'holes', inode: 1, fileChunk: 0, count: 1 }], [barrier]],
    },
    'a contradiction after the last barrier': {
      reason: 'no inode 9',
      frames: [[...begin], [barrier], [name(1, 9, 'x')]],
    },
    'an unknown object after the last barrier': {
      reason: 'object 7, but only 2 are known',
      frames: [[...begin], [barrier], [chunks(7, 0, 1)]],
    },
  };

  test.each(Object.entries(journals))('%s', async (_, { reason, frames }) => {
    const begun = await imageWithJournal(frames);
    const damage = expect.objectContaining({ code: 'damaged', message: expect.stringContaining(reason) });
    for (const use of [openWritable, recoverImage]) {
      expect(() => use(begun.store, begun.header, begun.imageKey)).toThrow(damage);
    }
    // The lock was let go of.
    begun.store.lock().release();
  });

  test('a snapshot in one frame has its barrier right after base', async () => {
    const begun = await imageWithJournal([[base, barrier, finished, root, ...named, extents([0, 0, chunkSize])]]);
    const image = openWritable(begun.store, begun.header, begun.imageKey);
    expect(image.inode(2)).toMatchObject({ size: 10 * chunkSize, dataBytes: chunkSize });
  });

  const flagged = (open: boolean, lost: boolean) => inode(2, { ...file, size: 0, open, lost } as JournalInode);

  test('the last flags of a file count, and are kept by the next journal until it is recovered', async () => {
    const begun = await imageWithJournal([[...begin, flagged(true, false)], [barrier], [flagged(false, true)]]);
    const { store, header, imageKey } = begun;
    const lost = expect.objectContaining({ code: 'unsealed', message: expect.stringContaining('to "f"') });
    for (const time of ['first', 'second']) expect(() => openWritable(store, header, imageKey), time).toThrow(lost);
    expect(recoverImage(store, header, imageKey).dropped).toContain('to "f"');
    const image = openWritable(store, header, imageKey);
    expect(image.inode(2)).toMatchObject({ open: false, lost: false });
    image.close();
  });

  test('a file that was lost and then stored is whole', async () => {
    const { store, header, imageKey } = await imageWithJournal([
      [...begin, flagged(true, true)],
      [barrier],
      [flagged(true, false)],
    ]);
    const warnings: string[] = [];
    const image = openWritable(store, header, imageKey, { onWarning: (line) => warnings.push(line) });
    expect(image.inode(2)).toMatchObject({ open: false, lost: false });
    expect(warnings).toContain(
      'one file was open when the writer before this one ended; what was written last may be missing',
    );
    image.seal();
    image.close();
    const sealed = openWritable(store, header, imageKey);
    expect(sealed.inode(2)).toMatchObject({ open: false, lost: false });
  });

  test('an extent that a smaller size cut counts up to that', async () => {
    const cut = inode(2, { ...file, size: chunkSize + 100 });
    const begun = await imageWithJournal([[...begin, extents([0, 0, 2 * chunkSize])], [barrier], [cut]]);
    const image = openWritable(begun.store, begun.header, begun.imageKey);
    expect(image.inode(2)).toMatchObject({ dataBytes: 2 * chunkSize, base: [{ length: chunkSize + 100 }] });
  });

  test('and one that does not is none of these', async () => {
    const hole: JournalEntry = { kind: 'holes', inode: 2, fileChunk: 0, count: 2 ** 40 };
    const frames = [[...begin, extents([0, 0, chunkSize], [chunkSize, 100, 50])], [barrier], [hole]];
    const begun = await imageWithJournal(frames);
    const image = openWritable(begun.store, begun.header, begun.imageKey);
    expect(image.inode(2)).toMatchObject({ size: 10 * chunkSize, dataBytes: 0 });
  });
});

test('a chunk that a later frame names again is kept when the journal is continued', async () => {
  const begun = await newImage('aes-256-xts', chunkSize);
  const { store, header, imageKey } = begun;
  const session = new Session(begun, { poolSize: 8 * chunkSize });
  session.apply({ kind: 'create', directory: 0, name: 'a' });
  session.apply({ kind: 'write', file: 0, offset: 0, length: 3 * chunkSize, seed: 1 });
  session.apply({ kind: 'sync' });
  session.close();
  const journal = store.readJournal();
  if (journal === undefined) throw new Error('no journal');
  const reader = JournalReader.open(imageContext(store, header, imageKey), journal);
  const frames = [...reader.frames()];
  reader.close();
  putJournal(begun, [...frames, frames.flat().filter(({ kind }) => kind === 'chunks')]);
  const again = new Session(begun, {}, session.root);
  again.check();
  again.close();
});

describe('a journal that was changed without the key', () => {
  const script: readonly Operation[] = [
    { kind: 'create', directory: 0, name: 'a' },
    { kind: 'write', file: 0, offset: 0, length: 3 * chunkSize, seed: 1 },
    { kind: 'sync' },
    { kind: 'mkdir', directory: 0, name: 'b' },
    { kind: 'write', file: 0, offset: chunkSize, length: 5000, seed: 2 },
    { kind: 'commit' },
    { kind: 'rename', entry: 0, directory: 1, name: 'c', how: 'replace' },
  ];

  /** An unsealed image, and all the states it was in. */
  async function unsealed(): Promise<readonly [BegunImage, string[], number]> {
    const begun = await newImage('aes-256-xts', chunkSize);
    const session = new Session(begun);
    const states = [describeModel(session.root)];
    for (const step of script) {
      session.apply(step);
      states.push(describeModel(session.root));
    }
    session.close();
    return [begun, states, begun.store.disk.names.get('journal')?.size ?? 0];
  }

  /**
   * The state that is there after a change to the journal; the code of the error when it is not to be opened, even by
   * recover.
   */
  function stateAfter(begun: BegunImage, change: (store: RecordingStore) => void): string {
    const store = new RecordingStore(diskAfter(begun.store.log, (operation) => operation));
    change(store);
    try {
      recoverImage(store, begun.header, begun.imageKey);
      const image = openWritable(store, begun.header, begun.imageKey, { poolSize: 8 * chunkSize });
      const text = describeImage(image);
      image.close();
      return text;
    } catch (error) {
      if (error instanceof CkptfsError) return error.code;
      throw error;
    }
  }

  test('by flipping a bit anywhere: an earlier state, or damage', async () => {
    const [begun, states, size] = await unsealed();
    for (let at = 0; at < size; at++) {
      const found = stateAfter(begun, ({ disk }) => {
        const journal = disk.names.get('journal');
        const byte = journal?.read(at, 1) ?? Buffer.alloc(1);
        byte.writeUInt8(byte.readUInt8() ^ (1 << (at % 8)));
        journal?.write(at, byte);
      });
      expect(['damaged', ...states]).toContain(found);
    }
  });

  test('by cutting it anywhere: an earlier state, or damage', async () => {
    const [begun, states, size] = await unsealed();
    const found = Array.from({ length: size }, (_, length) =>
      stateAfter(begun, ({ disk }) => disk.names.get('journal')?.truncate(length)),
    );
    for (const state of found) expect(['damaged', ...states]).toContain(state);
    // The snapshot is not usable in part, and what is whole is.
    expect(found.indexOf('damaged')).toBe(0);
    expect(found.lastIndexOf('damaged')).toBeLessThan(found.findIndex((state) => state !== 'damaged'));
  });

  test('by exchanging, repeating or leaving out pieces: an earlier state, or damage', async () => {
    const [begun, states, size] = await unsealed();
    fc.assert(
      fc.property(fc.nat(size), fc.nat(size), fc.nat(size), (from, to, length) => {
        const found = stateAfter(begun, ({ disk }) => {
          const journal = disk.names.get('journal');
          journal?.write(to, journal.read(from, length));
        });
        expect(['damaged', ...states]).toContain(found);
      }),
      { numRuns: 200 },
    );
  });
});
