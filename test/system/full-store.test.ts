// Goal: what does not fit on a full disk is told as ENOSPC, and leaves what was there as it was.
// Method: the store writes to a real file system of 1 MiB.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import { ioErrorName } from '../../src/base/errors.ts';
import { Region } from '../../src/base/linux/native.ts';
import { createStore } from '../../src/stores/open-store.ts';
import type { WritableStore } from '../../src/stores/writable-store.ts';
import { describeIf, systemTest } from './support/requirements.ts';

const id = '0123456789abcdef0123456789abcdef';
const ROOM = 1_048_576;

function errnoOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return ioErrorName(error) ?? String(error);
  }
}

describeIf(['root'], 'a store on a file system that is full', () => {
  let directory: string;
  let store: WritableStore;
  beforeEach(() => {
    directory = fs.mkdtempSync(join(tmpdir(), 'ckptfs-full-'));
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${ROOM}`, 'ckptfs-test', directory]);
    expect(mounted.status, String(mounted.stderr)).toBe(0);
    store = createStore(join(directory, 'image'));
  });
  afterEach(() => {
    store.close();
    expect(spawnSync('umount', [directory]).status).toBe(0);
    fs.rmdirSync(directory);
  });

  const half = Buffer.alloc(ROOM / 2, 'x');

  systemTest([], 'an append to the journal that does not fit leaves it as it was, and open for one that does', () => {
    const draft = store.beginJournal();
    draft.append(Buffer.from('kept'));
    const journal = draft.publish();
    const room = store.createObject(id);
    room.write(new Region(half), 0, half.length, 0);
    expect(errnoOf(() => journal.append(half))).toBe('ENOSPC');
    expect(journal.size).toBe(4);
    expect(fs.readFileSync(join(store.location, 'journal'), 'utf8')).toBe('kept');
    journal.append(Buffer.from(', longer'));
    journal.sync();
    expect(fs.readFileSync(join(store.location, 'journal'), 'utf8')).toBe('kept, longer');
    expect(room.punch(0, half.length)).toBe(true);
    journal.append(half);
    expect(journal.size).toBe(12 + half.length);
    room.close();
    journal.close();
  });

  systemTest([], 'what is said last fits into a journal although the store is full', () => {
    const draft = store.beginJournal();
    draft.append(Buffer.from('kept'));
    const journal = draft.publish();
    const room = store.createObject(id);
    const whole = new Region(Buffer.alloc(2 * ROOM, 'x'));
    expect(errnoOf(() => room.write(whole, 0, whole.length, 0))).toBe('ENOSPC');
    expect(store.space().freeBlocks).toBe(0);
    for (let at = 0; at < 7; at++) journal.append(Buffer.alloc(4096, 'y'));
    journal.sync();
    expect(fs.statSync(join(store.location, 'journal')).size).toBe(4 + 7 * 4096);
    room.close();
    journal.close();
  });

  systemTest(
    [],
    'an object, a draft and a named file that do not fit fail with ENOSPC, and what was there stays',
    () => {
      store.publish('manifest', Buffer.from('old'));
      const object = store.createObject(id);
      const whole = new Region(Buffer.alloc(2 * ROOM, 'x'));
      expect(errnoOf(() => object.write(whole, 0, whole.length, 0))).toBe('ENOSPC');
      expect(store.space().freeBlocks).toBe(0);
      const draft = store.beginJournal();
      expect(errnoOf(() => draft.append(half))).toBe('ENOSPC');
      draft.discard();
      expect(errnoOf(() => store.publish('manifest', half))).toBe('ENOSPC');
      expect(store.readNamed('manifest', 3)?.toString()).toBe('old');
      object.truncate(0);
      store.publish('manifest', half);
      expect(store.sizeOf('manifest')).toBe(half.length);
      object.close();
    },
  );
});
