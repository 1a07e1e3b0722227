import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CommandResult } from './support/namespace.ts';
import { describeIf, findProgram, systemTest } from './support/requirements.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

describeIf(['npm'], 'the package, where there is no compiler', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-package-')));
  const at = (...names: string[]): string => join(base, ...names);
  /** All that is in PATH here: what npm and `#!/usr/bin/env node` need. No compiler, no make, no Python, no git. */
  const programs = at('programs');
  const installed = at('installed', 'lib', 'node_modules', 'ckptfs');

  function run(program: string, args: readonly string[]): CommandResult {
    const env = { ...process.env, PATH: programs, HOME: at('home'), XDG_CONFIG_HOME: at('home') };
    const result = spawnSync(program, args, { cwd: base, env, encoding: 'utf8', timeout: 120_000 });
    if (result.error) throw result.error;
    return { status: result.status, stdout: result.stdout, stderr: result.stderr };
  }

  /** @throws Error with its stderr where it exits with another code than 0 */
  function runWell(program: string, ...args: readonly string[]): string {
    const { status, stdout, stderr } = run(program, args);
    if (status !== 0) throw new Error(`${program} ${args.join(' ')} exited with ${status}: ${stderr}`);
    return stdout;
  }

  const npm = findProgram('npm') ?? '';
  const ckptfs = at('installed', 'bin', 'ckptfs');

  beforeAll(() => {
    for (const name of ['programs', 'home', 'source', 'mnt']) fs.mkdirSync(at(name));
    fs.symlinkSync(process.execPath, join(programs, 'node'));
    for (const name of ['sh', 'env', 'npm']) {
      fs.symlinkSync(fs.realpathSync(findProgram(name) ?? ''), join(programs, name));
    }
    fs.writeFileSync(at('source', 'inventory.img'), 'image file');

    // What `npm pack` would build has just been built, and other tests run on it: it must not be built again under them.
    const packed = spawnSync(npm, ['pack', '--ignore-scripts', '--pack-destination', base], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(packed.status, packed.stderr).toBe(0);
    const cache = spawnSync(npm, ['config', 'get', 'cache'], { cwd: root, encoding: 'utf8' }).stdout.trim();
    const tarball = fs.readdirSync(base).find((name) => name.endsWith('.tgz')) ?? '';
    const where = ['--prefix', at('installed'), '--cache', cache, '--prefer-offline'];
    // Old versions of npm run install scripts unless told, newer ones do not unless told: the package works without any.
    runWell('npm', 'install', '--global', '--ignore-scripts', '--no-audit', '--no-fund', ...where, at(tarball));
  });
  afterAll(() => fs.rmSync(base, { recursive: true }));

  test('holds what runs and what documents it, and nothing else', () => {
    const names = fs.readdirSync(installed).sort();
    const documents = ['CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'README.md', 'SECURITY.md', 'docs'];
    expect(names).toEqual([...documents, 'bin', 'dist', 'node_modules', 'package.json', 'scripts'].sort());
    expect(fs.readdirSync(join(installed, 'docs/systemd'))).toEqual(['ckptfs-write@.service', 'ckptfs@.service']);
    expect(fs.readdirSync(join(installed, 'scripts'))).toEqual(['mount.fuse.ckptfs']);
    expect(fs.statSync(join(installed, 'scripts', 'mount.fuse.ckptfs')).mode & 0o111).toBe(0o111);
  });

  test('brings its manual page to where man looks', () => {
    expect(fs.readFileSync(at('installed', 'share', 'man', 'man1', 'ckptfs.1'), 'utf8')).toContain('.TH CKPTFS 1');
  });

  test('encrypts, verifies and reads, by OpenSSL called directly', () => {
    runWell(ckptfs, 'encrypt', 'source', 'enc', '--quiet');
    expect(runWell(ckptfs, 'verify', 'enc')).toMatch(/^intact: 1 object, 1 chunk\n$/);
    expect(runWell(ckptfs, 'cat', 'enc', 'inventory.img')).toBe('image file');
    expect(run(ckptfs, ['doctor']).stdout).toMatch(/^ok +crypto: OpenSSL/m);
  });

  systemTest(['root', 'fuse'], 'mounts', () => {
    runWell(ckptfs, 'encrypt', 'source', 'mounted', '--quiet');
    runWell(ckptfs, 'mount', 'mounted', 'mnt', '--log-file', at('log'));
    try {
      expect(fs.readFileSync(at('mnt', 'inventory.img'), 'utf8')).toBe('image file');
    } finally {
      runWell(ckptfs, 'umount', 'mnt');
    }
  });

  test('is a library, whose types a program can be checked against', () => {
    const beside = at('installed', 'lib');
    const text = [
      "import { CkptfsError, EncryptedImage } from 'ckptfs';",
      "const failure = await EncryptedImage.open('nothing', { keys: [] }).catch((error) => error);",
      'console.log(failure instanceof CkptfsError && failure.code);',
    ].join('\n');
    fs.writeFileSync(join(beside, 'program.mjs'), text);
    expect(runWell('node', join(beside, 'program.mjs'))).toBe('io\n');

    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules', '@types')];
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', ...types];
    const check = (name: string): CommandResult => run('node', [compiler, ...options, join(beside, name)]);
    fs.writeFileSync(join(beside, 'right.mts'), text);
    expect(check('right.mts')).toMatchObject({ status: 0, stdout: '' });
    fs.writeFileSync(join(beside, 'wrong.mts'), text.replace('keys: []', "keys: ['k']"));
    expect(check('wrong.mts').stdout).toContain('KeyProvider');
  });
});
