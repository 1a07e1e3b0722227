import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';

const source = new URL('../../../src/', import.meta.url).href;
const program = `
  import { readFileSync } from 'node:fs';
  import { hardenProcess } from '${source}crypto/hardening.ts';
  import { bind } from '${source}base/linux/native.ts';
  const failures = hardenProcess();
  const dumpable = bind('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong'])(3, 0, 0, 0, 0);
  const core = /^Max core file size +(\\S+) +(\\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')).slice(1);
  console.log(JSON.stringify({ failures, dumpable, core }));
`;

test('a hardened process is not dumpable and writes no core file', () => {
  const child = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    cwd: new URL('../../..', import.meta.url),
    encoding: 'utf8',
  });
  expect(child.stderr).toBe('');
  expect(JSON.parse(child.stdout)).toEqual({ failures: [], dumpable: 0, core: ['0', '0'] });
});
