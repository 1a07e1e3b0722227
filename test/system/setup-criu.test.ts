import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect } from 'vitest';
import { describeIf, findProgram, systemTest, toolEnvironment } from './support/requirements.ts';

const scripts = fileURLToPath(new URL('../../scripts', import.meta.url));

let base: string;
const at = (...names: string[]): string => join(base, ...names);

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ckptfs-setup-'));
  for (const directory of ['bin', 'cache']) mkdirSync(at(directory));
});
afterEach(() => rmSync(base, { recursive: true }));

function program(name: string, text: string): void {
  writeFileSync(at('bin', name), `#!/bin/sh\n${text}\n`);
  chmodSync(at('bin', name), 0o755);
}

/** Runs the part of scripts/setup that is about criu, with a cache of its own; returns what it printed. */
function setUpCriu(): { status: number | null; output: string } {
  const text = `
    set -euo pipefail; scripts=$1 check_only=no purpose=demo
    for part in env report packages criu; do . "$scripts/lib/$part.sh"; done
    set_up_criu
    [ "$missing_count" = 0 ]`;
  const env = { ...toolEnvironment, XDG_CACHE_HOME: at('cache'), PATH: `${at('bin')}:${toolEnvironment.PATH}` };
  const { status, stdout, stderr } = spawnSync('bash', ['-c', text, 'setup', scripts], { env, encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

const kept = (): string => at('cache', 'ckptfs', 'criu', 'bin', 'criu');

describeIf(['root', 'criu', 'namespaces'], 'set-up of criu', () => {
  systemTest([], 'keeps a criu that works only with CRIU_FAULT=130 in a wrapper that says so', () => {
    const without = '[ -n "$CRIU_FAULT" ] || { echo "no breakpoints here" >&2; exit 1; }';
    program('criu', `${without}\nexec "${findProgram('criu')}" "$@"`);
    expect(setUpCriu()).toEqual({ status: 0, output: '' });
    const wrapper = readFileSync(kept(), 'utf8');
    expect(wrapper).toMatch(/export CRIU_FAULT="\$\{CRIU_FAULT:-130\}"; exec "/);
    expect(wrapper).toContain(at('bin', 'criu'));
    expect(setUpCriu()).toEqual({ status: 0, output: '' });
    expect(readFileSync(kept(), 'utf8')).toBe(wrapper);
  });

  systemTest([], 'leaves a criu alone that works as it is', () => {
    program('criu', `exec "${findProgram('criu')}" "$@"`);
    expect(setUpCriu()).toEqual({ status: 0, output: '' });
    expect(existsSync(kept())).toBe(false);
  });

  systemTest(
    [],
    'says why the one that is there fails, and does not download the newest again on the same kernel',
    () => {
      program(
        'criu',
        '[ "$1" != --version ] || { echo "Version: 4.9"; exit; }\necho "needs a kernel of its own" >&2; exit 1',
      );
      program('apt-get', `touch ${at('downloading')}; exit 1`);
      const cache = at('cache', 'ckptfs', 'criu');
      mkdirSync(join(cache, 'system', 'usr', 'lib'), { recursive: true });
      writeFileSync(
        join(cache, 'downloaded'),
        `${readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()} criu of Debian x\n`,
      );
      const { status, output } = setUpCriu();
      expect(status).toBe(1);
      const reasons = [...output.matchAll(/^does not work: (.*)$/gm)].map(([, reason]) => reason);
      const own = `criu 4.9 (${at('bin', 'criu')})`;
      expect(reasons.slice(0, 2)).toEqual(
        ['', ', with CRIU_FAULT=130'].map((way) => `${own}${way}: needs a kernel of its own`),
      );
      expect(reasons.slice(2).map((reason) => reason?.split(': ')[0])).toEqual(
        ['', ', with CRIU_FAULT=130'].map((way) => `criu of Debian x (unpacked)${way}`),
      );
      expect(output).toContain('missing: a criu that works on this kernel (what was tried stands above');
      expect(existsSync(at('downloading'))).toBe(false);
      writeFileSync(join(cache, 'downloaded'), '1.2.3-other criu of Debian x\n');
      setUpCriu();
      expect(existsSync(at('downloading'))).toBe(true);
    },
  );
});
