// Goal: the package works where it is installed, with nothing but what it brings.
// Method: npm packs and installs it where no compiler is.
import fs from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Packed } from './support/packed.ts';
import { describeIf, systemTest } from './support/requirements.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

describeIf(['npm'], 'the package, where there is no compiler', () => {
  let packed: Packed;
  let installed: string;
  let ckptfs: string;
  const at = (...names: string[]): string => packed.at(...names);

  beforeAll(() => {
    packed = new Packed();
    installed = at('installed', 'lib', 'node_modules', 'ckptfs');
    ckptfs = at('installed', 'bin', 'ckptfs');
    for (const name of ['source', 'mnt']) fs.mkdirSync(at(name));
    fs.writeFileSync(at('source', 'inventory.img'), 'image file');
    packed.install('--global');
  });
  afterAll(() => packed.remove());

  test('holds what runs and what documents it, and nothing else', () => {
    const names = fs.readdirSync(installed).sort();
    const documents = ['CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'README.md', 'SECURITY.md', 'docs'];
    expect(names).toEqual([...documents, 'bin', 'dist', 'node_modules', 'package.json', 'scripts'].sort());
    for (const units of ['docs/systemd', 'docs/systemd/user', 'docs/prometheus'])
      expect(fs.readdirSync(join(installed, units))).toEqual(fs.readdirSync(join(root, units)));
    expect(fs.readdirSync(join(installed, 'scripts'))).toEqual(['mount.fuse.ckptfs', 'umount.fuse.ckptfs']);
    for (const name of fs.readdirSync(join(installed, 'scripts')))
      expect(fs.statSync(join(installed, 'scripts', name)).mode & 0o111).toBe(0o111);
  });

  test('brings its manual page to where man looks', () => {
    expect(fs.readFileSync(at('installed', 'share', 'man', 'man1', 'ckptfs.1'), 'utf8')).toContain('.TH CKPTFS 1');
  });

  test('encrypts, verifies and reads, by OpenSSL called directly', () => {
    packed.runWell(ckptfs, 'encrypt', 'source', 'enc', '--quiet');
    expect(packed.runWell(ckptfs, 'verify', 'enc')).toMatch(/^intact: 1 object, 1 chunk\n$/);
    expect(packed.runWell(ckptfs, 'cat', 'enc', 'inventory.img')).toBe('image file');
    expect(packed.run(ckptfs, ['doctor']).stdout).toMatch(/^ok +crypto: OpenSSL/m);
  });

  systemTest(['root', 'fuse'], 'mounts', () => {
    packed.runWell(ckptfs, 'encrypt', 'source', 'mounted', '--quiet');
    packed.runWell(ckptfs, 'mount', 'mounted', 'mnt', '--log-file', at('log'));
    try {
      expect(fs.readFileSync(at('mnt', 'inventory.img'), 'utf8')).toBe('image file');
    } finally {
      packed.runWell(ckptfs, 'umount', 'mnt');
    }
  });

  test('has every file that its pages point to', () => {
    const pages = fs
      .readdirSync(installed, { recursive: true, encoding: 'utf8' })
      .filter((name) => /^[^/]+\.md$|^docs\/.*\.md$/.test(name));
    expect(pages).toContain('docs/library.md');
    for (const page of pages) {
      const text = fs.readFileSync(join(installed, page), 'utf8');
      for (const [, target = ''] of text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)) {
        if (/^https?:/.test(target)) continue;
        expect(fs.existsSync(join(installed, page, '..', target)), `${page}: ${target}`).toBe(true);
      }
    }
  });
});
