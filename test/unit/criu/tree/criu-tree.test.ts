import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Counters } from '../../../../src/base/counters.ts';
import { CkptfsError } from '../../../../src/base/errors.ts';
import { Region } from '../../../../src/base/linux/native.ts';
import { CriuTree, type SharedTree } from '../../../../src/criu/tree/criu-tree.ts';
import { identifyTree, openTreeRoot, unlockTree } from '../../../../src/criu/tree/unlock-tree.ts';
import { verifyTree } from '../../../../src/criu/tree/verify-tree.ts';
import { readPrivateKey } from '../../../../src/crypto/private-key-file.ts';
import { ImageTree } from '../../../../src/image/read/tree.ts';
import { criuCase, criuCases } from '../../../support/criu-fixtures.ts';
import { copyOfCase, digestOf, filesIn, keyPath, temporaryDirectory } from '../../../support/criu-trees.ts';

const closings: (() => void)[] = [];

afterEach(() => {
  for (const close of closings.splice(0).reverse()) close();
});

/** Returns the secrets of a tree, by the key of the fixtures. */
function secretsOf(directory: string): Uint8Array {
  const root = openTreeRoot(directory);
  const key = readPrivateKey(readFileSync(keyPath('rsa2048-key.pem')));
  try {
    const { secrets } = unlockTree(root, [{ source: 'private key k', key }]);
    closings.push(() => secrets.wipe());
    return secrets.bytes;
  } finally {
    key.dispose();
    root.close();
  }
}

function opened(directory: string, secrets = secretsOf(directory)): CriuTree {
  const tree = CriuTree.open(directory, secrets);
  closings.push(() => CriuTree.wipeShared(tree.shared));
  closings.push(() => tree.close());
  return tree;
}

/** Reads every file of a tree, and returns the digests by path. */
function contentsOf(tree: CriuTree): Map<string, string> {
  const names = new ImageTree(tree.manifest);
  const reader = tree.openReader(0, new Counters());
  try {
    const files = tree.manifest.inodes.flatMap((inode, index) => {
      if (inode.type !== 'file') return [];
      const out = new Region(inode.size + 1);
      const count = reader.read(inode, 0, inode.size + 1, out, 0);
      return [[names.pathOf(index + 1).toString(), digestOf(out.bytes.subarray(0, count))] as const];
    });
    return new Map(files.sort(([a], [b]) => (a < b ? -1 : 1)));
  } finally {
    reader.close();
  }
}

function refusal(attempt: () => unknown): CkptfsError {
  try {
    attempt();
  } catch (error) {
    if (error instanceof CkptfsError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe.each(criuCases.map((each) => [each.name, each] as const))('the tree of %s', (_, { encrypted, plain }) => {
  test('has the files of its plain twin, in the thread that opened it and in others', () => {
    const secrets = secretsOf(encrypted);
    const tree = opened(encrypted, secrets);
    expect(tree.problems).toEqual([]);
    expect(contentsOf(tree)).toEqual(filesIn(plain));
    const other = CriuTree.attach(encrypted, secrets, structuredClone(tree.shared) as SharedTree);
    closings.push(() => other.close());
    expect(contentsOf(other)).toEqual(filesIn(plain));
  });
});

describe('a tree', () => {
  test('keeps names, modes, owners, times and links, and leaves cipher.img out', () => {
    const dump = copyOfCase('parent');
    chmodSync(path.join(dump, '1', 'core-20.img'), 0o640);
    const { manifest } = opened(dump);
    const tree = new ImageTree(manifest);
    const number = tree.resolve('1/core-20.img');
    const stat = statSync(path.join(dump, '1', 'core-20.img'));
    expect(tree.inode(number)).toMatchObject({ type: 'file', mode: 0o640, uid: stat.uid, gid: stat.gid });
    expect(tree.inode(number)?.mtime.seconds).toBe(Math.floor(stat.mtimeMs / 1000));
    const link = tree.inode(tree.resolve('2/parent'));
    expect(link?.type === 'symlink' && link.target.toString()).toBe('../1');
    expect(() => tree.resolve('1/cipher.img')).toThrow('no file');
  });

  test('serves a directory beside the encrypted ones as it is', () => {
    const dump = copyOfCase('parent');
    rmSync(path.join(dump, '1'), { recursive: true });
    cpSync(path.join(criuCase('parent').plain, '1'), path.join(dump, '1'), { recursive: true });
    mkdirSync(path.join(dump, 'empty'));
    writeFileSync(path.join(dump, 'note'), 'in clear');
    const expected = filesIn(criuCase('parent').plain);
    expected.set('note', digestOf(Buffer.from('in clear')));
    expect(contentsOf(opened(dump))).toEqual(expected);
  });

  test('says which of its directories are not encrypted, and what was not checked there', async () => {
    const dump = copyOfCase('parent');
    expect([...opened(dump).weaknesses()]).toEqual([]);
    rmSync(path.join(dump, '1'), { recursive: true });
    cpSync(path.join(criuCase('parent').plain, '1'), path.join(dump, '1'), { recursive: true });
    const tree = opened(dump);
    expect([...tree.weaknesses()]).toEqual(['"1" is served as it is: it has no cipher.img']);
    const { pages, damage } = await verifyTree(tree);
    expect(damage).toEqual([]);
    expect(pages.map(({ directory, outcome }) => [directory.toString(), outcome])).toEqual([
      ['1', 'unknown'],
      ['2', 'matches'],
    ]);
  });

  test('says that memory was put in place of what was encrypted', async () => {
    const dump = copyOfCase('loop');
    for (const name of ['pagemap-20.img', 'pages-1.img'])
      cpSync(path.join(criuCase('loop').plain, name), path.join(dump, name));
    const tree = opened(dump);
    expect([...tree.weaknesses()]).toEqual([expect.stringContaining('memory in the directory is not encrypted')]);
    expect((await verifyTree(tree)).damage).toMatchObject([{ file: Buffer.from('cipher.img') }]);
    const cipher = path.join(dump, 'cipher.img');
    writeFileSync(cipher, Buffer.concat([readFileSync(cipher).subarray(0, -32), Buffer.alloc(32)]));
    const later = opened(dump);
    expect([...later.weaknesses()]).toHaveLength(1);
    expect(await verifyTree(later)).toMatchObject({
      damage: [],
      pages: [{ outcome: 'unknown' }],
      unprotected: expect.arrayContaining([Buffer.from('pages-1.img')]),
    });
  });

  test('of which all directories together have more than can be held is refused', () => {
    const dump = copyOfCase('parent');
    for (const [directory, size] of [
      ['1', 2 << 20],
      ['2', (1 << 28) - (1 << 20)],
    ] as const)
      truncateSync(path.join(dump, directory, 'core-20.img'), size);
    expect(refusal(() => opened(dump))).toMatchObject({
      code: 'unsupported-source',
      path: expect.stringMatching(/\/2$/),
      data: { reason: 'too-large' },
    });
  });

  test('has an id that changes with any of its cipher.img', () => {
    const dump = copyOfCase('parent');
    const root = openTreeRoot(dump);
    closings.push(() => root.close());
    const before = identifyTree(root);
    cpSync(path.join(criuCase('loop').encrypted, 'cipher.img'), path.join(dump, '1', 'cipher.img'));
    expect(before).toEqual({ imageId: expect.stringMatching(/^[0-9a-f]{32}$/), layers: 2 });
    expect(identifyTree(root).imageId).not.toBe(before.imageId);
  });

  test('with a damaged image names it, and reads the others', () => {
    const dump = copyOfCase('loop');
    const damaged = path.join(dump, 'files.img');
    const bytes = readFileSync(damaged);
    bytes[40] = (bytes[40] ?? 0) ^ 1;
    writeFileSync(damaged, bytes);
    const tree = opened(dump);
    expect(tree.problems.map(({ path: at }) => at.toString())).toEqual(['files.img']);
    const names = new ImageTree(tree.manifest);
    const counters = new Counters();
    const reader = tree.openReader(0, counters);
    closings.push(() => reader.close());
    const read = (name: string): Buffer => {
      const inode = tree.manifest.inodes[names.resolve(name) - 1];
      if (inode?.type !== 'file') throw new Error(`no file ${name}`);
      const out = new Region(Buffer.alloc(inode.size, 0xaa));
      reader.read(inode, 0, inode.size, out, 0);
      return out.bytes;
    };
    expect(refusal(() => read('files.img')).code).toBe('damaged');
    expect(counters.get('authenticationFailures')).toBe(1);
    expect(read('mm-20.img')).toEqual(readFileSync(path.join(criuCase('loop').plain, 'mm-20.img')));
  });

  test('that lost or gained an encrypted directory is not opened with the secrets of before', () => {
    const dump = copyOfCase('parent');
    const secrets = secretsOf(dump);
    rmSync(path.join(dump, '2', 'cipher.img'));
    expect(refusal(() => CriuTree.open(dump, secrets))).toMatchObject({
      code: 'wrong-image',
      data: { reason: 'replaced' },
    });
    cpSync(path.join(dump, '1'), path.join(dump, '2'), { recursive: true });
    cpSync(path.join(dump, '1'), path.join(dump, '3'), { recursive: true });
    expect(refusal(() => CriuTree.open(dump, secrets)).code).toBe('wrong-image');
  });

  test('a clear file that is cut while it is open is not read any more', () => {
    const dump = copyOfCase('loop');
    mkdirSync(path.join(dump, 'beside'));
    writeFileSync(path.join(dump, 'beside', 'clear'), 'contents');
    const tree = opened(dump);
    truncateSync(path.join(dump, 'beside', 'clear'), 3);
    expect(refusal(() => contentsOf(tree)).code).toBe('damaged');
  });

  test('a clear file that is cut between two reads is not read any more', () => {
    const dump = copyOfCase('loop');
    mkdirSync(path.join(dump, 'beside'));
    const clear = path.join(dump, 'beside', 'clear');
    writeFileSync(clear, 'contents');
    const tree = opened(dump);
    const { manifest } = tree;
    const inode = manifest.inodes[new ImageTree(manifest).resolve('beside/clear') - 1];
    if (inode?.type !== 'file') throw new Error('no file');
    const reader = tree.openReader(0, new Counters());
    closings.push(() => reader.close());
    const out = new Region(8);
    expect(reader.read(inode, 0, 8, out, 0)).toBe(8);
    truncateSync(clear, 3);
    expect(refusal(() => reader.read(inode, 0, 8, out, 0))).toMatchObject({ code: 'damaged', path: clear });
    expect(out.bytes).toEqual(Buffer.alloc(8));
  });

  test('of many directories keeps few descriptors open', () => {
    const dump = copyOfCase('parent');
    for (let number = 3; number <= 20; number++)
      cpSync(path.join(dump, '2'), path.join(dump, `${number}`), { recursive: true, verbatimSymlinks: true });
    const tree = opened(dump);
    const names = new ImageTree(tree.manifest);
    const reader = tree.openReader(0, new Counters());
    const before = readdirSync('/proc/self/fd').length;
    try {
      for (let number = 1; number <= 20; number++) {
        const inode = tree.manifest.inodes[names.resolve(`${number}/pages-1.img`) - 1];
        if (inode?.type !== 'file') throw new Error('no file');
        expect(reader.read(inode, 0, 4096, new Region(4096), 0)).toBe(4096);
      }
      expect(readdirSync('/proc/self/fd').length - before).toBeLessThanOrEqual(16);
    } finally {
      reader.close();
    }
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  });

  test('does not follow links to directories', () => {
    const dump = copyOfCase('loop');
    symlinkSync('/', path.join(dump, 'root'));
    const link = opened(dump).manifest.inodes.find(({ type }) => type === 'symlink');
    expect(link).toMatchObject({ target: Buffer.from('/') });
  });
});

describe('keys of a tree', () => {
  let both: readonly { readonly source: string; readonly key: ReturnType<typeof readPrivateKey> }[];
  beforeAll(() => {
    both = ['rsa3072-key.pem', 'rsa2048-key.pem'].map((name) => ({
      source: name,
      key: readPrivateKey(readFileSync(keyPath(name))),
    }));
  });

  test('each directory is opened by whichever fits; one whose key is missing is refused', () => {
    const root = openTreeRoot(criuCase('parent').encrypted);
    closings.push(() => root.close());
    const unlocked = unlockTree(root, both);
    expect(unlocked).toMatchObject({ layers: 2, sources: ['rsa2048-key.pem'] });
    expect(unlocked.secrets.length).toBe(192);
    unlocked.secrets.wipe();
    expect(refusal(() => unlockTree(root, both.slice(0, 1))).code).toBe('wrong-key');
    expect(refusal(() => unlockTree(root, []))).toMatchObject({ code: 'no-key', data: { needs: 'rsa-key' } });
  });

  test('a directory without cipher.img is no such tree', () => {
    const root = openTreeRoot(temporaryDirectory());
    closings.push(() => root.close());
    expect(refusal(() => unlockTree(root, both)).code).toBe('not-an-image');
  });
});
