// Goal: trees that no path reaches are kept, and destinations that cannot keep everything are told of.
// Method: the real commands, on a very deep tree and on a file system without extended attributes.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCkptfs } from './support/ckptfs.ts';
import { PATIENCE } from './support/patience.ts';
import { runProgram } from './support/programs.ts';
import { describeIf, systemTest, toolEnvironment } from './support/requirements.ts';

const base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-trees-')));
const at = (name: string): string => join(base, name);
const key = ['--key-file', at('key')];

beforeAll(() => {
  expect(runCkptfs('keygen', '-o', at('key')).status).toBe(0);
});
// Not by Node, which works with paths.
afterAll(() => {
  runProgram('rm', '-rf', base);
});

const makeDeep = `
import os, sys
os.mkdir(sys.argv[1]); os.chdir(sys.argv[1])
open('important', 'w').write('data')
for level in range(int(sys.argv[2])):
    os.mkdir('n' * 150); os.chdir('n' * 150)
    if level % 100 == 0: os.mkdir('beside'); open('beside/file', 'w').write(str(level))
open('leaf', 'w').write('deep'); os.link('leaf', 'hard'); os.symlink('leaf', 'soft')
os.setxattr('leaf', b'user.q', b'1') if len(sys.argv) > 3 else None
os.chmod('.', 0o500)`;

const lookDeep = `
import os, sys
os.chdir(sys.argv[1]); seen = [open('important').read()]; beside = 0; levels = 0
while os.path.isdir('n' * 150):
    os.chdir('n' * 150); levels += 1
    if os.path.exists('beside/file'): beside += open('beside/file').read() == str(levels - 1)
print(seen[0], levels, beside, open('leaf').read(), os.stat('hard').st_nlink, os.readlink('soft'), oct(os.stat('.').st_mode & 0o777))`;

describeIf(['python'], 'a tree deeper than any path', () => {
  systemTest(['python'], 'is encrypted, verified and decrypted, with few descriptors', () => {
    runProgram('python3', '-c', makeDeep, at('deep'), '1000');
    expect(runCkptfs('encrypt', at('deep'), at('deep-enc'), ...key, '-q')).toMatchObject({ status: 0, stderr: '' });
    expect(runCkptfs('verify', at('deep-enc'), ...key)).toMatchObject({ status: 0 });
    // With 120 open files Node itself has few left.
    const limited = spawnSync(
      'sh',
      [
        '-c',
        `ulimit -n 120; exec "$@"`,
        'sh',
        join(import.meta.dirname, '../../bin/ckptfs'),
        'decrypt',
        at('deep-enc'),
        at('deep-out'),
        ...key,
        '-q',
        '-j',
        '2',
      ],
      { encoding: 'utf8', env: toolEnvironment, timeout: PATIENCE },
    );
    expect(limited).toMatchObject({ status: 0, stderr: '' });
    expect(runProgram('python3', '-c', lookDeep, at('deep-out'))).toBe('data 1000 10 deep 2 leaf 0o500\n');
  });

  systemTest(['python'], 'is named in a short line', () => {
    runProgram('python3', '-c', `${makeDeep}\nos.chmod('.', 0o700); os.mknod('null', 0o20600, 259)`, at('odd'), '100');
    const { status, stderr } = runCkptfs('encrypt', at('odd'), at('odd-enc'), ...key, '-q');
    expect(status).toBe(5);
    expect(stderr.length).toBeLessThan(700);
    expect(stderr).toMatch(/odd\/n.*….*n\/null is a device/);
  });
});

describeIf(['root', 'namespaces', 'getfattr'], 'a destination without extended attributes', () => {
  beforeAll(() => {
    fs.mkdirSync(at('source'));
    for (const name of ['a', 'b']) fs.writeFileSync(at(`source/${name}`), name, { mode: 0o640 });
    runProgram('setfattr', '-n', 'user.q', '-v', '1', at('source/a'));
    fs.utimesSync(at('source/a'), 1000, 1000);
    expect(runCkptfs('encrypt', at('source'), at('enc'), ...key, '-q')).toMatchObject({ status: 0 });
  });

  /** Decrypts into a ramfs, which has none, and looks at what came there. */
  function decryptThere(...options: string[]) {
    const line = `mkdir -p ${at('ram')} && mount -t ramfs none ${at('ram')} || exit 99
      '${join(import.meta.dirname, '../../bin/ckptfs')}' decrypt ${at('enc')} ${at('ram/out')} -k ${at('key')} "$@"; code=$?
      cd ${at('ram/out')} && cat a b && stat -c ' %n %a %Y' a >&2; exit $code`;
    return spawnSync('unshare', ['--mount', 'bash', '-c', line, 'bash', ...options], {
      encoding: 'utf8',
      timeout: PATIENCE,
      env: toolEnvironment,
    });
  }

  test('gets everything else; what is missing is named, and the exit code shows it', () => {
    const { status, stdout, stderr } = decryptThere();
    expect(stdout).toMatch(/2 files, .*\nab$/);
    expect(stderr).toMatch(
      /warning: could not keep extended attributes of \S+\/out\/a \(E\w+\)\n.*everything else was kept; missing: extended attributes of 1 file\n a 640 1000\n$/,
    );
    expect(status).toBe(7);
    const quiet = decryptThere('--quiet');
    expect([quiet.status, quiet.stderr]).toEqual([7, ' a 640 1000\n']);
  });

  test('is reported in JSON', () => {
    const { status, stdout } = decryptThere('--json', '--quiet');
    const { losses } = JSON.parse(stdout.replace(/ab$/, ''));
    expect([status, losses]).toEqual([
      7,
      [
        {
          kind: 'attributes',
          count: 1,
          examples: [{ path: expect.stringMatching(/\/a$/), reason: expect.any(String) }],
        },
      ],
    ]);
  });
});
