import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CkptfsError } from '../../../src/base/errors.ts';
import { Region } from '../../../src/base/linux/native.ts';
import { LocalStore } from '../../../src/stores/local-store.ts';
import { LocalWritableStore } from '../../../src/stores/local-writable-store.ts';
import { isVacant } from '../../../src/stores/open-store.ts';

/** What every store must do. Another kind of store is one more line in `stores`. */
const stores = [{ name: 'local', Store: LocalStore, Writer: LocalWritableStore }];

/** The path of an object below an image's directory (format.md §2). */
function objectPath(directory: string, id: string): string {
  return join(directory, 'objects', id.slice(0, 2), id);
}

const id = '0123456789abcdef0123456789abcdef';
const sparseId = '0123456789abcdef0123456789abcd00';

function code(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return error instanceof CkptfsError ? error.code : String(error);
  }
}

for (const { name, Store, Writer } of stores) {
  describe(`store contract: ${name}`, () => {
    let base: string;
    let location: string;
    beforeEach(() => {
      base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-store-'));
      location = join(base, 'image');
    });
    afterEach(() => fs.rmSync(base, { recursive: true }));

    test('objects are read as they were written, at any offset, and short only at the end', () => {
      const writer = Writer.create(location);
      const out = writer.createObject(id);
      out.write(new Region(Buffer.from('..hello..')), 2, 5, 9_000);
      out.truncate(10_000);
      out.close();
      const object = new Store(location).openObject(id);
      const to = new Region(20);
      expect(object.size).toBe(10_000);
      expect(object.read(to, 3, 7, 8_999)).toBe(7);
      expect(to.bytes.subarray(3, 10).toString('latin1')).toBe('\0hello\0');
      expect(object.read(to, 0, 20, 9_990)).toBe(10);
      expect(object.read(to, 0, 20, 10_000)).toBe(0);
      object.close();
    });

    test('named files are absent, published, replaced and bounded', () => {
      const writer = Writer.create(location);
      const store = new Store(location);
      expect(store.wasBegun()).toBe(true);
      expect(store.has('manifest')).toBe(false);
      expect(store.sizeOf('manifest')).toBeUndefined();
      expect(store.readNamed('manifest', 10)).toBeUndefined();
      writer.publish('manifest', Buffer.from('one'));
      writer.publish('manifest', Buffer.from('three'));
      expect(store.has('manifest')).toBe(true);
      expect(store.readNamed('manifest', 5)?.toString()).toBe('three');
      expect(store.sizeOf('manifest')).toBe(5);
      expect(code(() => store.readNamed('manifest', 4))).toBe('damaged');
      writer.publish('signatures', Buffer.from('by'));
      fs.writeFileSync(join(location, 'signatures.new'), 'left');
      expect([store.has('signatures'), store.list().unexpected]).toEqual([true, []]);
      for (const _ of [1, 2]) writer.removeSignatures();
      expect(fs.readdirSync(location).sort()).toEqual(['manifest', 'objects']);
      writer.beginJournal().publish().close();
      expect(store.has('journal')).toBe(true);
      writer.lock('a writer');
      expect(store.list()).toEqual({ objects: [], unexpected: [] });
    });

    test('the listing has objects with their sizes without holes, and unexpected files apart', () => {
      const writer = Writer.create(location);
      const object = writer.createObject(id);
      object.write(new Region(Buffer.alloc(42, 'x')), 0, 42, 0);
      object.close();
      const sparse = writer.createObject(sparseId);
      sparse.write(new Region(Buffer.alloc(4096, 'x')), 0, 4096, 65_536);
      sparse.truncate(1 << 20);
      sparse.close();
      fs.writeFileSync(join(location, 'objects', '01', 'note'), '');
      fs.writeFileSync(join(location, 'objects', '01', id.replace('0', 'f')), '');
      fs.mkdirSync(join(location, 'objects', 'zz'));
      fs.writeFileSync(join(location, 'readme'), '');
      fs.symlinkSync('/dev/zero', join(location, 'objects', '01', `01${'0'.repeat(30)}`));
      const { objects, unexpected } = new Store(location).list();
      expect([...objects].sort((a, b) => a.size - b.size)).toEqual([
        { id, size: 42 },
        { id: sparseId, size: 4096 },
      ]);
      const misnamed = `objects/01/${id.replace('0', 'f')}`;
      expect([...unexpected].sort()).toEqual(
        [`objects/01/01${'0'.repeat(30)}`, misnamed, 'objects/01/note', 'objects/zz', 'readme'].sort(),
      );
    });

    test('an object that is missing or not a regular file is damaged, and a FIFO does not block', () => {
      Writer.create(location).createObject(id).close();
      const store = new Store(location);
      expect(code(() => store.openObject('f'.repeat(32)))).toBe('damaged');
      const path = objectPath(location, id);
      for (const replace of [() => fs.symlinkSync('/dev/zero', path), () => fs.mkdirSync(path), () => makeFifo(path)]) {
        fs.rmSync(path, { recursive: true });
        replace();
        expect(code(() => store.openObject(id))).toBe('damaged');
      }
      fs.symlinkSync('/dev/zero', join(location, 'manifest'));
      expect(code(() => store.sizeOf('manifest'))).toBe('damaged');
    });

    test('a destination that others can change is refused', () => {
      fs.mkdirSync(location);
      fs.chmodSync(location, 0o770);
      expect(code(() => Writer.create(location))).toBe('exists');
      fs.chmodSync(location, 0o755);
      fs.chownSync(location, 65534, 65534);
      expect(code(() => Writer.create(location))).toBe('exists');
      fs.chownSync(location, 0, 0);
      fs.symlinkSync(location, join(base, 'link'));
      expect(code(() => Writer.create(join(base, 'link')))).toBe('exists');
      expect(fs.readdirSync(location)).toEqual([]);
      expect(code(() => Writer.create(location))).toBeUndefined();
    });

    test('a destination with files is refused, an empty one is accepted', () => {
      fs.mkdirSync(location);
      fs.writeFileSync(join(location, 'x'), '');
      expect(code(() => Writer.create(location))).toBe('exists');
      fs.rmSync(join(location, 'x'));
      expect(code(() => Writer.create(location))).toBeUndefined();
      expect(code(() => Writer.create(join(base, 'no', 'parent')))).toBe('io');
      fs.mkdirSync(join(base, 'bare'));
      expect(new Store(join(base, 'bare')).wasBegun()).toBe(false);
      expect(code(() => new Store(join(base, 'nothing')).wasBegun())).toBe('io');
      fs.writeFileSync(join(base, 'file'), '');
      expect(code(() => new Store(join(base, 'file')))).toBe('not-an-image');
    });

    test('a new file system counts as an empty directory, and other files in the way are named', () => {
      fs.mkdirSync(join(location, 'lost+found'), { recursive: true });
      expect(isVacant(location)).toBe(true);
      fs.writeFileSync(join(location, 'photo.jpg'), '');
      expect(isVacant(location)).toBe(false);
      expect(() => Writer.create(location)).toThrow('is not empty: it has photo.jpg');
      for (const name of ['a', 'b', 'c']) fs.writeFileSync(join(location, name), '');
      expect(() => Writer.create(location)).toThrow(/it has (\S+, ){2}\S+ and 1 more$/);
      for (const name of ['a', 'b', 'c', 'photo.jpg']) fs.rmSync(join(location, name));
      Writer.create(location).close();
      expect(new Store(location).list().unexpected).toEqual(['lost+found']);
      fs.rmSync(location, { recursive: true });
      fs.mkdirSync(location);
      fs.writeFileSync(join(location, 'lost+found'), 'no directory');
      expect(isVacant(location)).toBe(false);
    });
  });
}

function makeFifo(path: string): void {
  const { status } = spawnSync('mkfifo', [path]);
  if (status !== 0) throw new Error('mkfifo failed');
}
