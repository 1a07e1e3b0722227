// Each altered build differs from the ordinary program and still serves an image, read-only and writable. The benchmark
// measures speed, this file does not.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import * as tuning from '../../../../src/base/tuning.ts';
import { describeIf } from '../../../../test/system/support/requirements.ts';
import { run } from '../../../lib/commands.ts';
import { buildWithout, tricks } from '../../peers/altered.ts';
import { type Ckptfs, ckptfsKind } from '../../peers/ckptfs.ts';

const project = join(import.meta.dirname, '../../../..');
const ordinary = join(project, 'dist', 'bundle');
const content = 'x'.repeat(200_000);
const all = Object.values(tricks).flat();

let base: string;
beforeAll(() => {
  base = fs.mkdtempSync(join(tmpdir(), 'ckptfs-altered-'));
});
afterAll(() => fs.rmSync(base, { recursive: true }));

/** Returns the contents of the bundles in a directory, by name. */
function bundlesIn(directory: string): Map<string, string> {
  const names = fs.readdirSync(directory).filter((name) => name.endsWith('.js'));
  return new Map(names.map((name) => [name, fs.readFileSync(join(directory, name), 'utf8')]));
}

test('the ordinary program leaves no tuning constant to the environment that it runs in', () => {
  const text = [...bundlesIn(ordinary).values()].join('\n');
  for (const { constant } of all) expect(text).not.toContain(constant);
});

test('the library has the ordinary values', async () => {
  const compiled: unknown = await import(join(project, 'dist/base/tuning.js'));
  expect({ ...Object(compiled) }).toEqual({ ...tuning });
});

test('a build refuses a constant that it does not know', async () => {
  const trick = { without: 'unknown', constant: 'CKPTFS_UNKNOWN', value: 'false' };
  await expect(buildWithout(trick, project, base)).rejects.toThrow('CKPTFS_UNKNOWN is not one of');
});

describeIf(['root', 'fuse'], 'ckptfs built', () => {
  let ours: Ckptfs;
  let image: string;
  beforeAll(async () => {
    for (const name of ['workshop', 'source', 'mnt']) fs.mkdirSync(join(base, name));
    fs.writeFileSync(join(base, 'source', 'file'), content);
    ours = await ckptfsKind.open(join(base, 'workshop'));
    image = await ours.store(join(base, 'source'), join(base, 'image'));
  });

  test.for(all)('$without differs from the ordinary program, and serves', async ({ without, constant, value }) => {
    const altered = await ours.without({ without, constant, value });
    const program = join(base, 'workshop', without.replaceAll(' ', '-'), 'dist', 'bundle');
    expect([...bundlesIn(program).keys()]).toEqual([...bundlesIn(ordinary).keys()]);
    expect(bundlesIn(program)).not.toEqual(bundlesIn(ordinary));

    const readOnly = await altered.mount(image, join(base, 'mnt'));
    expect(await run('cat', join(readOnly.path, 'file'))).toBe(content);
    await readOnly.unmount();

    const written = join(base, `written-${constant}`);
    const writable = await altered.mountNew(written, join(base, 'mnt'));
    const source = join(base, 'source', 'file');
    await run('dd', `if=${source}`, `of=${join(writable.path, 'copy')}`, 'bs=128K', 'status=none');
    await writable.unmount();
    const decrypted = join(base, `decrypted-${constant}`);
    fs.mkdirSync(decrypted);
    await run(...ours.decrypt(written, decrypted));
    expect(fs.readFileSync(join(decrypted, 'copy'), 'utf8')).toBe(content);
  });
});
