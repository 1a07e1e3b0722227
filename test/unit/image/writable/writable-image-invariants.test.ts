// Holds the map of the writer, README.md of src/image/writable, to the code and the tests that it names, and breaks
// some of its invariants by a store or a caller that does what it must not.
import fs from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { Region } from '../../../../src/base/linux/native.ts';
import { Geometry } from '../../../../src/format/geometry.ts';
import { DeferredWrite } from '../../../../src/fs/deferred-write.ts';
import { imageContext } from '../../../../src/image/objects/image-context.ts';
import { JournalObjects } from '../../../../src/image/writable/journal/journal-objects.ts';
import { Snapshot } from '../../../../src/image/writable/journal/snapshot.ts';
import { FileChunks } from '../../../../src/image/writable/model/file-chunks.ts';
import { LiveFile } from '../../../../src/image/writable/model/live-inode.ts';
import { LiveTree } from '../../../../src/image/writable/model/live-tree.ts';
import { LiveObject, ObjectTable } from '../../../../src/image/writable/model/object-table.ts';
import { Placements } from '../../../../src/image/writable/model/placements.ts';
import { ObjectAppender } from '../../../../src/image/writable/objects/object-appender.ts';
import { openWritable } from '../../../../src/image/writable/open-writable.ts';
import { systemError } from '../../../support/recording-store.ts';
import { NO_TIMES } from '../../../support/times.ts';
import type { Operation } from './operations.ts';
import { type BegunImage, newImage, patternBytes, Session } from './session.ts';

const chunkSize = 4096;
const metadata = { mode: 0o600, uid: 0, gid: 0, ...NO_TIMES, xattrs: [] };

/** Returns the texts of all files below a folder that end in .ts, by their names without folders. */
function textsIn(folder: string): Map<string, string> {
  const names = fs.readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return new Map(names.map((name) => [path.basename(name), fs.readFileSync(path.join(folder, name), 'utf8')]));
}

function readIfThere(file: string): string | undefined {
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined;
}

describe('the map of the writer', () => {
  const root = path.join(import.meta.dirname, '../../../..');
  const room = path.join(root, 'src/image/writable');
  const readme = fs.readFileSync(path.join(room, 'README.md'), 'utf8');
  const listed = [...readme.matchAll(/^- \*\*(W\d+)\*\*/gm)].map(([, name]) => name);
  const tests = textsIn(import.meta.dirname);
  /** Texts of the room, of what defers writes and of what seals chunks, by name. */
  const sources = new Map(
    [room, ...['src/fs', 'src/image/objects'].map((name) => path.join(root, name))].flatMap((folder) => [
      ...textsIn(folder),
    ]),
  );
  const rows = readme.split('\n').filter((line) => /^\| .*\.test\.ts/.test(line));

  test('lists each invariant once, in order', () => {
    expect(listed).toEqual(Array.from(listed, (_, index) => `W${index + 1}`));
    expect(listed.length).toBeGreaterThan(15);
  });

  test('lists the invariants that the code cites, and the code cites all of them', () => {
    const cited = [...sources.values()].flatMap((text) => text.match(/\bW\d+\b/g) ?? []);
    expect([...new Set(cited)].sort()).toEqual([...listed].sort());
  });

  test('names a test for each invariant', () => {
    const shown = rows.flatMap((row) => row.split('|')[1]?.match(/\bW\d+\b/g) ?? []);
    expect([...new Set(shown)].sort()).toEqual([...listed].sort());
  });

  test('names tests that exist', () => {
    const faults: string[] = [];
    for (const row of rows) {
      for (const [, name = '', titles = ''] of row.matchAll(/([\w/-]+\.test\.ts) ((?:"[^"]*"(?:, )?)+)/g)) {
        const text = name.includes('/') ? readIfThere(path.join(root, name)) : tests.get(name);
        for (const [, title = ''] of titles.matchAll(/"([^"]*)"/g)) {
          if (text?.includes(title) !== true) faults.push(`${name}: "${title}"`);
        }
      }
    }
    expect(faults).toEqual([]);
    expect(rows.length).toBeGreaterThan(20);
  });

  test('names functions that are in the files it names', () => {
    const cells = rows.flatMap((row) => row.split('|')[2] ?? []);
    const faults: string[] = [];
    for (const [, names = '', file = ''] of cells.join('\n').matchAll(/((?:`[^`]+`(?:, )?)+) \(([\w-]+\.ts)[^)]*\)/g)) {
      for (const [, name = ''] of names.matchAll(/`([^`]+)`/g)) {
        const last = name.split('.').at(-1) ?? '';
        if (!new RegExp(`${last}\\b`).test(sources.get(file) ?? '')) faults.push(`${file}: ${name}`);
      }
    }
    expect(faults).toEqual([]);
  });
});

function broken(name: string): unknown {
  return expect.objectContaining({ code: 'internal', message: expect.stringContaining(`invariant ${name} is broken`) });
}

async function writing(...steps: readonly Operation[]): Promise<readonly [BegunImage, Session]> {
  const begun = await newImage('aes-256-xts', chunkSize);
  const session = new Session(begun, { poolSize: 8 * chunkSize });
  session.apply({ kind: 'create', directory: 0, name: 'a' });
  for (const step of steps) session.apply(step);
  return [begun, session];
}

const geometry = new Geometry(chunkSize);
const rewrite: Operation = { kind: 'write', file: 0, offset: 0, length: 3 * chunkSize, seed: 1 };

describe('a broken invariant is an internal error that names it', () => {
  test('W1: a place that a file uses already is taken back', async () => {
    const { store, header, imageKey } = await newImage('aes-256-xts', chunkSize);
    const table = new ObjectTable();
    const appender = new ObjectAppender(imageContext(store, header, imageKey), table);
    const plain = new Region(patternBytes(1, chunkSize));
    const append = (): void =>
      appender.append(new Placements(), 1, () => {
        appender.add(plain, 0, 0);
        table.use(0, 0);
        store.fault = ({ kind }) => (kind === 'write' ? systemError('EIO') : undefined);
      });
    expect(append).toThrow(broken('W1'));
  });

  test('W3: a file names an object that does not exist', () => {
    expect(() => new ObjectTable().use(0, 0)).toThrow(broken('W3'));
  });

  test('W4: a frame needs a record that is gone', () => {
    const table = new ObjectTable();
    table.add(LiveObject.begun(Buffer.alloc(16), geometry));
    expect(() => new JournalObjects(table, 0, geometry).of(0, 5, 1)).toThrow(broken('W4'));
  });

  test('W5: a use ends that never began', () => {
    const table = new ObjectTable();
    table.add(LiveObject.begun(Buffer.alloc(16), geometry));
    expect(() => table.unuse(0, 0)).toThrow(broken('W5'));
  });

  test('W6: a store leaves a part of a frame that it refused', async () => {
    const [begun, session] = await writing(rewrite, { kind: 'sync' });
    begun.store.fault = ({ kind }) => (kind === 'write' || kind === 'truncate' ? systemError('EIO') : undefined);
    begun.store.keepsRefused = true;
    const mkdir = (): number => session.image.mkdir(1, Buffer.from('d'), { mode: 0o700, uid: 0, gid: 0 });
    expect(mkdir).toThrow(expect.objectContaining({ code: 'io' }));
    begun.store.fault = undefined;
    expect(mkdir).toThrow(broken('W6'));
    session.close();
  });

  test('W8: a store lets something be written while it makes names durable', async () => {
    const [{ store }, session] = await writing(rewrite);
    const { syncNames } = store;
    store.syncNames = () => {
      syncNames.call(store);
      session.image.write(2, 0, 3 * chunkSize, new Region(3 * chunkSize), 0);
    };
    expect(() => session.image.sync()).toThrow(broken('W8'));
    Reflect.deleteProperty(store, 'syncNames');
    expect(() => session.image.commit()).toThrow(broken('W8'));
    session.close();
  });

  test('W11: a journal is begun with an object that is not finished', () => {
    const objects = new ObjectTable();
    const chunks = new FileChunks(geometry, objects);
    const tree = LiveTree.withRoot(metadata);
    const file = new LiveFile(2, metadata);
    tree.add(file);
    chunks.place(file, 0, objects.add(LiveObject.begun(Buffer.alloc(16), geometry)), 0, 0);
    const snapshot = new Snapshot({ epoch: 0, tree, objects }, chunks);
    expect(() => [...snapshot.entries()]).toThrow(broken('W11'));
  });

  test('W15: a write is deferred while another one waits', async () => {
    const [, session] = await writing();
    const deferred = new DeferredWrite();
    const from = new Region(chunkSize);
    deferred.defer(2, 0, chunkSize, from, 0);
    expect(() => deferred.defer(2, 0, chunkSize, from, 0)).toThrow(broken('W15'));
    deferred.close();
    session.close();
  });

  test('W18: an image is sealed while a deferred write is refused, and stays unsealed', async () => {
    const [{ store }, session] = await writing(rewrite);
    session.image.unstored.setRefusedWrite(2);
    expect(() => session.image.seal()).toThrow(broken('W18'));
    expect([store.has('manifest'), store.has('journal')]).toEqual([false, true]);
    session.close();
  });
});

test('after a fault in renewing the journal nothing can be changed any more', async () => {
  const warnings: string[] = [];
  const begun = await newImage('aes-256-xts', chunkSize);
  const limits = { pending: 2000, journal: 1000, freed: 12 * chunkSize };
  const session = new Session(begun, { limits, onWarning: (line) => warnings.push(line) });
  const names = Array.from({ length: 40 }, (_, index) => Buffer.from(`name ${index}`));
  for (const name of names) session.image.create(1, name, { mode: 0o600, uid: 0, gid: 0 });
  const { beginJournal } = begun.store;
  begun.store.beginJournal = () => {
    throw new CkptfsError('internal', 'a cipher failed');
  };
  const fault = { code: 'internal', message: 'the journal was not renewed: a cipher failed' };
  let removed = 0;
  for (; warnings.length === 0; removed++) session.image.unlink(1, names[removed] as Buffer);
  expect(warnings).toEqual([`nothing can be written any more: ${fault.message}`]);
  for (const name of [names[removed - 1], names[removed]] as Buffer[]) {
    expect(() => session.image.unlink(1, name)).toThrow(expect.objectContaining(fault));
  }
  expect(() => session.image.seal()).toThrow(expect.objectContaining(fault));
  session.close();
  // What was committed is there, and nothing else.
  begun.store.beginJournal = beginJournal;
  const image = openWritable(begun.store, begun.header, begun.imageKey);
  expect(names.map((name) => image.lookup(1, name) === undefined)).toEqual(names.map((_, index) => index < removed));
  image.close();
});

test('after a seal nothing can be changed any more', async () => {
  const [{ store }, session] = await writing(rewrite);
  session.image.seal();
  const before = store.log.length;
  const changes = [
    () => session.image.commit(),
    () => session.image.sync(),
    () => session.image.truncate(2, 0),
    () => session.image.unlink(1, Buffer.from('a')),
  ];
  for (const change of changes) expect(change).toThrow(expect.objectContaining({ message: 'the image is sealed' }));
  expect(store.log.length).toBe(before);
  session.close();
});
