// Goal: images that earlier versions made stay readable, and their damage stays found.
// Method: the built program does with the frozen images what test/unit/frozen-images.test.ts cannot do without threads.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeTree } from '../../scripts/images/source-tree.ts';
import { filler } from '../../scripts/vectors/encode.ts';
import {
  type ExpectedDamage,
  imageDirectory,
  imageNames,
  keyFile,
  type ListedFile,
  listing,
  makeDamaged,
  recipes,
  SIGNED_FILE,
  signedRoot,
  without,
} from '../support/frozen-images.ts';
import { ckptfs, runCkptfs } from './support/ckptfs.ts';
import { describeIf } from './support/requirements.ts';

interface Verified {
  readonly damage: readonly {
    readonly file?: string;
    readonly object: string;
    readonly chunk?: number;
    readonly reason: string;
  }[];
  readonly unexpected: readonly string[];
}

let scratch: string;
beforeAll(() => {
  scratch = fs.mkdtempSync(join(tmpdir(), 'ckptfs-frozen-'));
});
afterAll(() => fs.rmSync(scratch, { recursive: true }));

describeIf(['root'], 'frozen images', () => {
  test.each(imageNames)('%s verifies, and decrypts to the tree it was made of', (name) => {
    const target = join(scratch, name);
    ckptfs('verify', imageDirectory(name), '--key-file', keyFile(128));
    ckptfs('decrypt', imageDirectory(name), target, '--key-file', keyFile(192), '--quiet');
    const byPath = (files: readonly ListedFile[]) => new Map(without(files, 'ctime').map((file) => [file.path, file]));
    expect(byPath(describeTree(target))).toEqual(byPath(listing(name)));
  });
});

test('the signed image is decrypted where its signature by a certificate is demanded', () => {
  const [image, target] = [join(signedRoot, 'image'), join(scratch, 'signed')];
  const demand = ['--require-signature', '--trusted', join(signedRoot, 'trusted', 'authority.crt')];
  ckptfs('decrypt', image, target, '--key-file', keyFile(), '--quiet', ...demand);
  expect(fs.readFileSync(join(target, SIGNED_FILE)).equals(filler(SIGNED_FILE, 5000))).toBe(true);
});

describe('damaged', () => {
  test.each([...recipes()])('%s', (name, recipe) => {
    const image = join(scratch, name);
    makeDamaged(recipe, image);
    const { status, stdout, stderr } = runCkptfs('verify', image, '--key-file', keyFile(), '--json');
    const { expected } = recipe;
    if ('open' in expected) {
      expect(status).not.toBe(0);
      expect(stderr).toContain(expected.open.message);
      return;
    }
    const { damage, unexpected } = JSON.parse(stdout) as Verified;
    expect(unexpected).toEqual(expected.unexpected ?? []);
    expect(status === 0).toBe(expected.damage.length === 0);
    const place = ({ object, chunk }: { object: string; chunk?: number }): string => `${object} ${chunk ?? ''}`;
    expect(damage.map(place).sort()).toEqual(expected.damage.map(place).sort());
    const reasons = (faults: readonly ExpectedDamage[]) => new Set(faults.map(({ reason }) => reason));
    for (const fault of damage) {
      const known = expected.damage.filter((each) => place(each) === place(fault));
      expect([...reasons(known)].some((reason) => fault.reason.includes(reason))).toBe(true);
    }
  });
});
