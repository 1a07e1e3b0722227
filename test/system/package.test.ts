// Goal: the package works where it is installed, with nothing but what it brings.
// Method: npm packs and installs it into an empty project where no compiler is.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CommandResult } from './support/namespace.ts';
import { PATIENCE } from './support/patience.ts';
import { describeIf, findProgram, have, systemTest } from './support/requirements.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

describeIf(['npm'], 'the package, where there is no compiler', () => {
  const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-package-')));
  const at = (...names: string[]): string => join(base, ...names);
  /** All that is in PATH here: what npm and `#!/usr/bin/env node` need. No compiler, no make, no Python, no git. */
  const programs = at('programs');
  const installed = at('installed', 'lib', 'node_modules', 'ckptfs');

  function run(program: string, args: readonly string[]): CommandResult {
    const env = { ...process.env, PATH: programs, HOME: at('home'), XDG_CONFIG_HOME: at('home') };
    const result = spawnSync(program, args, { cwd: base, env, encoding: 'utf8', timeout: PATIENCE });
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
  let npmCache = '';
  let tarball = '';
  const ckptfs = at('installed', 'bin', 'ckptfs');

  beforeAll(() => {
    for (const name of ['programs', 'home', 'source', 'mnt']) fs.mkdirSync(at(name));
    fs.symlinkSync(process.execPath, join(programs, 'node'));
    for (const name of ['sh', 'env', 'npm']) {
      fs.symlinkSync(fs.realpathSync(findProgram(name) ?? ''), join(programs, name));
    }
    fs.writeFileSync(at('source', 'inventory.img'), 'image file');

    // What `npm pack` would build has just been built, and other tests run on it: it must not be built again under
    // them.
    const packed = spawnSync(npm, ['pack', '--ignore-scripts', '--pack-destination', base], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(packed.status, packed.stderr).toBe(0);
    npmCache = spawnSync(npm, ['config', 'get', 'cache'], { cwd: root, encoding: 'utf8' }).stdout.trim();
    tarball = at(fs.readdirSync(base).find((name) => name.endsWith('.tgz')) ?? '');
    const where = ['--prefix', at('installed'), '--cache', npmCache, '--prefer-offline'];
    // Old versions of npm run install scripts unless told, newer ones do not unless told: the package works without
    // any.
    runWell('npm', 'install', '--global', '--ignore-scripts', '--no-audit', '--no-fund', ...where, tarball);
  });
  afterAll(() => fs.rmSync(base, { recursive: true }));

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

  describe('as a library, in a project that has nothing else', () => {
    const project = (name: string): string => at('project', name);
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');

    /** Compiles a program as a project without any settings of its own would, but strictly. */
    function compile(name: string): CommandResult {
      const options = ['--strict', '--target', 'es2022', '--module', 'nodenext'];
      return run('node', [compiler, ...options, '--outDir', project('built'), project(name)]);
    }

    beforeAll(() => {
      fs.mkdirSync(at('project'));
      fs.writeFileSync(project('package.json'), '{ "private": true }\n');
      const cache = ['--cache', npmCache, '--prefer-offline'];
      runWell(
        'npm',
        'install',
        '--prefix',
        at('project'),
        '--ignore-scripts',
        '--no-audit',
        '--no-fund',
        ...cache,
        tarball,
      );
    });

    test('its types need nothing that the project does not get with it', () => {
      const text = [
        "import { CkptfsError, EncryptedImage } from 'ckptfs';",
        "const failure: unknown = await EncryptedImage.open('nothing', { keys: [] }).catch((error) => error);",
        'console.log(failure instanceof CkptfsError && failure.code);',
      ].join('\n');
      fs.writeFileSync(project('right.mts'), text);
      expect(compile('right.mts')).toMatchObject({ status: 0, stdout: '' });
      expect(runWell('node', project('built/right.mjs'))).toBe('io\n');
      fs.writeFileSync(project('wrong.mts'), text.replace('keys: []', "keys: ['k']"));
      expect(compile('wrong.mts').stdout).toContain('Identity');
    });

    test('the examples of its page compile and run', () => {
      const page = fs.readFileSync(join(installed, 'docs', 'library.md'), 'utf8');
      const blocks = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, block = '']) => block);
      const canMount = have('root') && have('fuse');
      const runnable = blocks.filter((block) => canMount || !block.includes('mountImage'));
      fs.writeFileSync(project('examples.mts'), `process.chdir(process.argv[2] ?? '');\n${runnable.join('\n')}`);
      expect(compile('examples.mts')).toMatchObject({ status: 0, stdout: '' });
      fs.mkdirSync(project('empty'));
      const lines = runWell('node', project('built/examples.mjs'), project('empty')).split('\n');
      expect(lines).toEqual([
        expect.stringMatching(/^[0-9a-f]{32} 1 0$/),
        '2',
        "[ 'empty directory', 'inventory.img file', 'pages-1.img file' ]",
        'from memory',
        '6 99005 100005',
        '0 0',
        '1 32',
        ...(canMount ? ['true'] : []),
        '',
      ]);
    });
  });
});
