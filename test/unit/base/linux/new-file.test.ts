import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Directory } from '../../../../src/base/linux/directory.ts';
import { NewFile } from '../../../../src/base/linux/new-file.ts';

let place: string;
const at = (name: string): string => join(place, name);
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'ckptfs-new-file-'));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(place, { recursive: true });
});

describe.each(['without a name', 'with a name meanwhile'])('a file %s', (kind) => {
  beforeEach(() => {
    if (kind === 'without a name') return;
    vi.spyOn(Directory.prototype, 'openNameless').mockImplementation(() => {
      throw Object.assign(new Error('EOPNOTSUPP'), { code: 'EOPNOTSUPP' });
    });
  });

  test('is there when it is published, for its owner alone', () => {
    const file = NewFile.create(at('file'));
    file.write(Buffer.from('con'));
    file.write(Buffer.from('tents'));
    expect(readdirSync(place)).not.toContain('file');
    file.publish();
    file.close();
    expect(readdirSync(place)).toEqual(['file']);
    expect(readFileSync(at('file'), 'utf8')).toBe('contents');
    expect(statSync(at('file')).mode & 0o777).toBe(0o600);
  });

  test('leaves nothing when it is not', () => {
    const file = NewFile.create(at('file'));
    file.write(Buffer.from('contents'));
    file.close();
    expect(readdirSync(place)).toEqual([]);
  });

  test('never takes the place of another', () => {
    const file = NewFile.create(at('file'));
    writeFileSync(at('file'), 'other');
    expect(() => file.publish()).toThrow(expect.objectContaining({ code: 'exists' }));
    file.close();
    expect(readdirSync(place)).toEqual(['file']);
    expect(readFileSync(at('file'), 'utf8')).toBe('other');
  });
});

test.each(['file', 'link'])('a %s of the name is in the way from the beginning', (kind) => {
  if (kind === 'file') writeFileSync(at('it'), '');
  else symlinkSync('nowhere', at('it'));
  expect(() => NewFile.create(at('it'))).toThrow(expect.objectContaining({ code: 'exists' }));
});

test('a directory that is not there is named', () => {
  expect(() => NewFile.create(at('no/file'))).toThrow(`cannot make ${at('no/file')}: no such file or directory`);
});
