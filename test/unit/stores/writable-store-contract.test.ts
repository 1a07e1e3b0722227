import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../src/base/errors.ts';
import { Region } from '../../../src/base/linux/native.ts';
import { LocalStore } from '../../../src/stores/local-store.ts';
import { LocalWritableStore } from '../../../src/stores/local-writable-store.ts';
import type { StoredObject } from '../../../src/stores/store.ts';

/** What every writable store must do besides what `store-contract.test.ts` holds it to. */
const stores = [{ name: 'local', create: LocalWritableStore.create, open: (at: string) => new LocalWritableStore(at) }];

/** The path of an object below an image's directory (format.md §2). */
function objectPath(directory: string, id: string): string {
  return join(directory, 'objects', id.slice(0, 2), id);
}

const id = '0123456789abcdef0123456789abcdef';
const MIB = 1_048_576;

function failure(action: () => unknown): CkptfsError {
  try {
    action();
  } catch (error) {
    if (error instanceof CkptfsError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

function contentOf(file: StoredObject | undefined): string | undefined {
  if (file === undefined) return undefined;
  const to = new Region(file.size);
  expect(file.read(to, 0, file.size, 0)).toBe(file.size);
  file.close();
  return to.bytes.toString('latin1');
}

function text(value: string): Region {
  return new Region(Buffer.from(value));
}

describe.each(stores)('writable store contract: $name', ({ create, open }) => {
  let base: string;
  let location: string;
  beforeEach(() => {
    base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-store-'));
    location = join(base, 'image');
  });
  afterEach(() => fs.rmSync(base, { recursive: true }));

  test('an object begins empty, grows by writing, and is read back through the same object', () => {
    const object = create(location).createObject(id);
    const to = new Region(Buffer.from('-'.repeat(8)));
    expect(object.read(to, 0, 8, 0)).toBe(0);
    object.write(text('..abcd..'), 2, 4, 3);
    object.sync();
    expect(object.read(to, 1, 7, 0)).toBe(7);
    expect(to.bytes.toString('latin1')).toBe('-\0\0\0abcd');
    expect(() => object.write(text('abc'), 1, 3, 0)).toThrow('beyond the region');
    object.truncate(4);
    expect(object.read(to, 0, 8, 0)).toBe(4);
    object.truncate(6);
    expect(object.read(to, 0, 8, 0)).toBe(6);
    expect(to.bytes.toString('latin1', 0, 6)).toBe('\0\0\0a\0\0');
    object.close();
  });

  test('an object can be opened again, also by another store, with the same contents', () => {
    const first = create(location).createObject(id);
    first.write(text('held'), 0, 4, 0);
    const again = open(location).openObjectForWriting(id);
    again.write(text('new'), 0, 3, 4);
    again.close();
    first.close();
    expect(contentOf(open(location).openObject(id))).toBe('heldnew');
  });

  test('an object that exists is not made again, a missing one is damaged, and removing one twice succeeds', () => {
    const store = create(location);
    store.createObject(id).close();
    expect(failure(() => store.createObject(id)).code).toBe('io');
    store.removeObject(id);
    expect(failure(() => store.openObjectForWriting(id)).code).toBe('damaged');
    expect(store.list().objects).toEqual([]);
    store.removeObject(id);
    store.syncNames();
    store.createObject(id).close();
    store.syncNames();
  });

  test('punching gives the space back, and leaves zeros, the size, and the bytes around', () => {
    const object = create(location).createObject(id);
    object.write(new Region(Buffer.alloc(MIB, 'x')), 0, MIB, 0);
    object.sync();
    const before = fs.statSync(objectPath(location, id));
    expect(object.punch(4096, MIB - 8192)).toBe(true);
    const after = fs.statSync(objectPath(location, id));
    expect(after.size).toBe(before.size);
    expect(after.blocks).toBeLessThan(before.blocks / 4);
    const to = new Region(MIB);
    object.read(to, 0, MIB, 0);
    object.close();
    const [head, hole, tail] = [to.bytes.subarray(0, 4096), to.bytes.subarray(4096, -4096), to.bytes.subarray(-4096)];
    expect([head, tail].every((part) => part.equals(Buffer.alloc(4096, 'x')))).toBe(true);
    expect(hole.equals(Buffer.alloc(MIB - 8192))).toBe(true);
  });

  test('a file with a second name, a link, a directory and a FIFO are not written to', () => {
    const store = create(location);
    store.createObject(id).close();
    const path = objectPath(location, id);
    fs.linkSync(path, join(base, 'copy'));
    const refused = failure(() => store.openObjectForWriting(id));
    expect([refused.code, refused.message]).toEqual(['io', expect.stringContaining('2 names')]);
    const others = [
      () => fs.symlinkSync(join(base, 'copy'), path),
      () => fs.mkdirSync(path),
      () => expect(spawnSync('mkfifo', [path]).status).toBe(0),
    ];
    for (const replace of others) {
      fs.rmSync(path, { recursive: true });
      replace();
      expect(failure(() => store.openObjectForWriting(id)).code).toBe('damaged');
      expect(failure(() => store.createObject(id)).code).toBe('io');
    }
  });

  test('a journal appears as a whole when it is published, in the place of the one before', () => {
    const store = create(location);
    expect(store.readJournal()).toBeUndefined();
    const draft = store.beginJournal();
    draft.append(Buffer.from('first '));
    draft.append(Buffer.from('journal'));
    expect(store.has('journal')).toBe(false);
    const journal = draft.publish();
    expect(contentOf(store.readJournal())).toBe('first journal');
    journal.append(Buffer.from(', longer'));
    journal.append(Buffer.alloc(0));
    journal.sync();
    expect(journal.size).toBe(21);
    const second = store.beginJournal();
    second.append(Buffer.from('second'));
    expect(contentOf(store.readJournal())).toBe('first journal, longer');
    second.publish().close();
    expect(contentOf(open(location).readJournal())).toBe('second');
    journal.close();
  });

  test('a journal of what is made in one go is seen by its own store alone', () => {
    const store = create(location, true);
    const journal = store.beginJournal();
    journal.append(Buffer.from('first'));
    const file = journal.publish();
    file.append(Buffer.from(', longer'));
    expect(contentOf(store.readJournal())).toBe('first, longer');
    const second = store.beginJournal();
    second.append(Buffer.from('second'));
    second.publish().close();
    file.close();
    expect(contentOf(store.readJournal())).toBe('second');
    expect([open(location).readJournal(), store.has('journal')]).toEqual([undefined, false]);
    expect(store.list().unexpected).toEqual([]);
    store.removeJournal();
    expect(fs.readdirSync(location)).toEqual(['objects']);
  });

  test('the size of a journal is what was appended, whatever space is reserved after its end', () => {
    const store = create(location);
    const draft = store.beginJournal();
    const journal = draft.publish();
    const path = join(location, 'journal');
    let size = 0;
    for (const length of [1, 70_000, 30_000, 40_000]) {
      journal.append(Buffer.alloc(length, 'x'));
      size += length;
      expect([journal.size, fs.statSync(path).size]).toEqual([size, size]);
      journal.sync();
      expect(fs.statSync(path).size).toBe(size);
    }
    expect(contentOf(open(location).readJournal())).toBe('x'.repeat(size));
    journal.close();
    expect(fs.statSync(path).size).toBe(size);
  });

  test('a journal that cannot be published leaves no descriptor', () => {
    const store = create(location);
    const draft = store.beginJournal();
    draft.append(Buffer.from('x'));
    fs.mkdirSync(join(location, 'journal', 'in-the-way'), { recursive: true });
    const open = fs.readdirSync('/proc/self/fd').length;
    expect(failure(() => draft.publish()).code).toBe('io');
    expect(fs.readdirSync('/proc/self/fd').length).toBe(open - 1);
    fs.rmSync(join(location, 'journal'), { recursive: true });
  });

  test('a draft that is discarded or abandoned leaves the journal alone', () => {
    const store = create(location);
    store.beginJournal().publish().close();
    const discarded = store.beginJournal();
    discarded.append(Buffer.from('x'));
    discarded.discard();
    expect(fs.readdirSync(location).sort()).toEqual(['journal', 'objects']);
    store.beginJournal().append(Buffer.from('of a writer that was killed'));
    const draft = open(location).beginJournal();
    draft.append(Buffer.from('new'));
    expect(contentOf(store.readJournal())).toBe('');
    draft.publish().close();
    expect(contentOf(store.readJournal())).toBe('new');
  });

  test('a journal that is removed is gone, and removing none succeeds', () => {
    const store = create(location);
    store.beginJournal().publish().close();
    store.removeJournal();
    expect(store.readJournal()).toBeUndefined();
    store.removeJournal();
  });

  test('a journal or draft that is not a regular file is neither read nor written through', () => {
    const store = create(location);
    const victim = join(base, 'victim');
    fs.writeFileSync(victim, 'precious');
    fs.symlinkSync(victim, join(location, 'journal'));
    expect(failure(() => store.readJournal()).code).toBe('damaged');
    fs.symlinkSync(victim, join(location, 'journal.new'));
    const draft = store.beginJournal();
    draft.append(Buffer.from('new'));
    draft.publish().close();
    expect(contentOf(store.readJournal())).toBe('new');
    expect(fs.readFileSync(victim, 'utf8')).toBe('precious');
  });

  test('named files are published by a writer of an image that exists', () => {
    create(location).publish('manifest', Buffer.from('one'));
    open(location).publish('manifest', Buffer.from('two'));
    expect(open(location).readNamed('manifest', 10)?.toString()).toBe('two');
    expect(fs.readdirSync(location).sort()).toEqual(['manifest', 'objects']);
  });

  test('one writer holds the lock, others hear which, and it is free again when released', () => {
    const store = create(location);
    const lock = store.lock('host-a 4711');
    const refused = failure(() => open(location).lock('host-b 1'));
    expect([refused.code, refused.message]).toEqual(['locked', expect.stringContaining('host-a 4711')]);
    lock.release();
    expect(fs.existsSync(join(location, 'lock'))).toBe(false);
    const second = open(location).lock('host-b 1');
    expect(failure(() => store.lock('host-a 4712')).message).toContain('host-b 1');
    second.release();
  });

  test('the lock of a writer that was killed is taken over, whatever its text', () => {
    const store = create(location);
    fs.writeFileSync(join(location, 'lock'), `a much longer holder than the next one ${'x'.repeat(500)}\n`);
    const lock = store.lock('me');
    expect(fs.readFileSync(join(location, 'lock'), 'utf8')).toBe('me\n');
    lock.release();
  });

  test('a holder whose lock was removed does not remove that of the next holder', () => {
    const store = create(location);
    const first = store.lock('first');
    fs.rmSync(join(location, 'lock'));
    const refused = failure(() => open(location).lock('second'));
    expect([refused.code, refused.message]).toEqual([
      'locked',
      expect.stringMatching(`being written by (process ${process.pid}|another process)`),
    ]);
    // On a file system without locks for directories the second writer gets as far as this.
    fs.writeFileSync(join(location, 'lock'), 'second\n');
    first.release();
    expect(fs.readFileSync(join(location, 'lock'), 'utf8')).toBe('second\n');
    open(location).lock('third').release();
  });

  test('a writer is refused beside readers, which are named, and readers beside a writer', () => {
    const writer = create(location);
    const reader = new LocalStore(location);
    const readers = [reader.lockForReading(), new LocalStore(location).lockForReading()];
    const refused = failure(() => writer.lock('writer'));
    expect([refused.code, refused.message]).toEqual([
      'locked',
      expect.stringMatching(`being read by (process ${process.pid}|another process)`),
    ]);
    expect(fs.readdirSync(location)).toEqual(['objects']);
    for (const lock of readers) lock.release();
    const lock = writer.lock('writer');
    expect(lock.unseenReaders).toBeUndefined();
    expect(failure(() => reader.lockForReading()).message).toContain('is being written by');
    lock.release();
    reader.lockForReading().release();
  });

  test('all work stays in the directory that was opened, whatever takes its place', () => {
    const store = create(location);
    const lock = store.lock('me');
    const journal = store.beginJournal();
    const object = store.createObject(id);
    const moved = join(base, 'moved');
    fs.renameSync(location, moved);
    create(location).createObject(id).write(text('other'), 0, 5, 0);
    const before = fs.readdirSync(location, { recursive: true });
    object.write(text('mine'), 0, 4, 0);
    object.sync();
    object.close();
    journal.append(Buffer.from('journal'));
    journal.publish().close();
    store.publish('manifest', Buffer.from('manifest'));
    store.createObject(`ff${id.slice(2)}`).close();
    store.syncNames();
    expect(contentOf(store.openObject(id))).toBe('mine');
    expect(contentOf(store.readJournal())).toBe('journal');
    expect(store.list().objects).toHaveLength(2);
    expect(store.location).toBe(moved);
    expect(failure(() => store.openObject('0'.repeat(32))).path).toBe(objectPath(moved, '0'.repeat(32)));
    store.removeObject(id);
    store.removeJournal();
    lock.release();
    expect(fs.readdirSync(location, { recursive: true })).toEqual(before);
    expect(fs.readFileSync(objectPath(location, id), 'utf8')).toBe('other');
    expect(fs.existsSync(objectPath(moved, id))).toBe(false);
  });

  test('another thread reaches the same directory, also when it has moved', () => {
    const store = create(location);
    fs.renameSync(location, join(base, 'moved'));
    const other = new LocalWritableStore(store.place);
    expect(other.identity()).toEqual(store.identity());
    store.close();
    other.createObject(id).close();
    expect(fs.existsSync(objectPath(join(base, 'moved'), id))).toBe(true);
    other.close();
  });

  test.each([
    ['a symbolic link', (path: string, to: string) => fs.symlinkSync(to, path)],
    ['a file', (path: string) => fs.writeFileSync(path, '')],
    ['a file', (path: string) => expect(spawnSync('mkfifo', [path]).status).toBe(0)],
  ])('%s in place of a directory of objects is damage, and leads nowhere', (what, put) => {
    const victim = create(join(base, 'victim'));
    victim.createObject(id).write(text('precious'), 0, 8, 0);
    for (const [name, target] of [
      [join(location, 'objects'), join(base, 'victim', 'objects')],
      [join(location, 'objects', '01'), join(base, 'victim', 'objects', '01')],
    ] as const) {
      const made = create(location);
      made.createObject(id).close();
      made.close();
      fs.rmSync(name, { recursive: true });
      put(name, target);
      const store = open(location);
      const calls = [
        () => store.openObject(id),
        () => store.openObjectForWriting(id),
        () => store.createObject(id),
        () => store.removeObject(id),
        () => store.list(),
      ];
      for (const call of calls) {
        const { code, message } = failure(call);
        expect([code, message]).toEqual(['damaged', `${name} is ${what}, not a directory of the image`]);
      }
      store.close();
      fs.rmSync(location, { recursive: true });
    }
    expect(contentOf(victim.openObject(id))).toBe('precious');
  });

  test('a lock that is another file, or leads to one, is neither truncated nor followed', () => {
    const store = create(location);
    const victim = join(base, 'victim');
    fs.writeFileSync(victim, 'precious');
    fs.linkSync(victim, join(location, 'lock'));
    expect(failure(() => store.lock('me')).code).toBe('io');
    fs.rmSync(join(location, 'lock'));
    fs.symlinkSync(victim, join(location, 'lock'));
    expect(failure(() => store.lock('me')).code).toBe('damaged');
    expect(fs.readFileSync(victim, 'utf8')).toBe('precious');
    expect(failure(() => open(join(base, 'nowhere')).lock('me')).code).toBe('io');
  });

  test('the space is that of the file system', () => {
    const { blockSize, blocks, freeBlocks } = create(location).space();
    const answer = spawnSync('stat', ['-f', '-c', '%b', location], { encoding: 'utf8' }).stdout;
    expect(String(blocks)).toBe(answer.trim());
    expect(blockSize).toBeGreaterThanOrEqual(512);
    expect(freeBlocks).toBeLessThanOrEqual(blocks);
    expect(failure(() => open(join(base, 'nowhere')).space()).code).toBe('io');
  });
});
