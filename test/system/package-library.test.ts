// Goal: the package is a library for a project that has nothing else: its types, and the examples of its page.
// Method: npm packs it and installs it into an empty project, which a compiler compiles.
import fs from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CommandResult } from './support/namespace.ts';
import { Packed } from './support/packed.ts';
import { describeIf, have } from './support/requirements.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');

describeIf(['npm'], 'the package, as a library', () => {
  let packed: Packed;
  const project = (name: string): string => packed.at('installed', name);

  /** Compiles a program as a project without any settings of its own would, but strictly. */
  function compile(name: string): CommandResult {
    const options = ['--strict', '--target', 'es2022', '--module', 'nodenext'];
    return packed.run('node', [compiler, ...options, '--outDir', project('built'), project(name)]);
  }

  beforeAll(() => {
    packed = new Packed();
    fs.mkdirSync(packed.at('installed'));
    fs.writeFileSync(project('package.json'), '{ "private": true }\n');
    packed.install();
  });
  afterAll(() => packed.remove());

  test('its types need nothing that the project does not get with it', () => {
    const text = [
      "import { CkptfsError, EncryptedImage } from 'ckptfs';",
      "const failure: unknown = await EncryptedImage.open('nothing', { keys: [] }).catch((error) => error);",
      'console.log(failure instanceof CkptfsError && failure.code);',
    ].join('\n');
    fs.writeFileSync(project('right.mts'), text);
    expect(compile('right.mts')).toMatchObject({ status: 0, stdout: '' });
    expect(packed.runWell('node', project('built/right.mjs'))).toBe('io\n');
    fs.writeFileSync(project('wrong.mts'), text.replace('keys: []', "keys: ['k']"));
    expect(compile('wrong.mts').stdout).toContain('Identity');
  });

  test('the examples of its page compile and run', () => {
    const page = fs.readFileSync(join(root, 'docs', 'library.md'), 'utf8');
    const blocks = [...page.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, block = '']) => block);
    const canMount = have('root') && have('fuse');
    const runnable = blocks.filter((block) => canMount || !block.includes('mountImage'));
    fs.writeFileSync(project('examples.mts'), `process.chdir(process.argv[2] ?? '');\n${runnable.join('\n')}`);
    expect(compile('examples.mts')).toMatchObject({ status: 0, stdout: '' });
    fs.mkdirSync(project('empty'));
    const lines = packed.runWell('node', project('built/examples.mjs'), project('empty')).split('\n');
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
