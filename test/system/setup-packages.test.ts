// Goal: the set-up waits for another program that installs packages, and names the one cause when it must give up.
// Method: that part of scripts/setup runs with an apt-get of its own.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect } from 'vitest';
import { PATIENCE } from './support/patience.ts';
import { describeIf, systemTest } from './support/requirements.ts';

const scripts = fileURLToPath(new URL('../../scripts', import.meta.url));

let base: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ckptfs-packages-'));
  mkdirSync(join(base, 'bin'));
});
afterEach(() => rmSync(base, { recursive: true }));

/**
 * Runs the part of scripts/setup that installs packages, where two programs are missing.
 * @param aptGet the text of the apt-get that it finds: the machine's own must not be touched
 */
function setUpPackages(aptGet: string): { status: number | null; output: string } {
  writeFileSync(join(base, 'bin', 'apt-get'), `#!/bin/sh\n${aptGet}\n`);
  chmodSync(join(base, 'bin', 'apt-get'), 0o755);
  const text = `
    set -euo pipefail; scripts=$1 check_only=no purpose=demo
    for part in env report packages; do . "$scripts/lib/$part.sh"; done
    lock_wait=4
    needed_programs() { printf '%s\\n' '${base}/one package-one' '${base}/two package-two'; }
    set_up_packages
    [ "$missing_count" = 0 ]`;
  const env = { ...process.env, PATH: `${join(base, 'bin')}:${process.env['PATH']}` };
  const { status, stdout, stderr } = spawnSync('bash', ['-c', text, 'setup', scripts], {
    env,
    encoding: 'utf8',
    timeout: PATIENCE,
  });
  return { status, output: stdout + stderr };
}

const locked =
  'echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 4711 (apt-get)" >&2; exit 100';

describeIf(['root'], 'set-up of packages', () => {
  systemTest([], 'names the one cause when another program keeps the lock', () => {
    const { status, output } = setUpPackages(locked);
    expect(status).toBe(1);
    expect(output).toContain('It is held by process 4711');
    expect(output).toContain('Another program installs packages; waited 4 seconds for it.');
    expect(output.match(/^missing: .*$/gm)).toEqual([
      'missing: what could not be installed: package-one package-two (apt-get failed, see above; then run this again)',
    ]);
  });

  systemTest([], 'waits for the lock, and goes on', () => {
    const once = `if mkdir '${base}/asked' 2>/dev/null; then ${locked}; fi`;
    const install = `case "$*" in *print-uris*) ;; *install*) touch '${base}/one' '${base}/two' ;; esac`;
    const { status, output } = setUpPackages(`${once}\n${install}`);
    expect([status, output.match(/^missing: .*$/gm)]).toEqual([0, null]);
  });
});
