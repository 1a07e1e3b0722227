// Goal: the set-up keeps a criu that works on this machine, in a wrapper where it needs one.
// Method: the criu part of scripts/setup runs with a cache of its own.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect } from 'vitest';
import { PATIENCE } from './support/patience.ts';
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
function setUpCriu(how = 'set_up_criu'): { status: number | null; output: string } {
  const text = `
    set -euo pipefail; scripts=$1 check_only=no purpose=demo
    for part in env report packages archive criu; do . "$scripts/lib/$part.sh"; done
    ${how}
    [ "$missing_count" = 0 ]`;
  const env = {
    ...toolEnvironment,
    XDG_CACHE_HOME: at('cache'),
    TRIED: at('tried'),
    PATH: `${at('bin')}:${toolEnvironment.PATH}`,
  };
  const { status, stdout, stderr } = spawnSync('bash', ['-c', text, 'setup', scripts], {
    env,
    encoding: 'utf8',
    timeout: PATIENCE,
  });
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

  systemTest([], 'puts a new wrapper in the place of one that fails without a moment that has none', () => {
    const without = '[ -n "$CRIU_FAULT" ] || exit 1';
    program('criu', `[ -e ${kept()} ] || touch ${at('absent')}\n${without}\nexec "${findProgram('criu')}" "$@"`);
    mkdirSync(dirname(kept()), { recursive: true });
    writeFileSync(kept(), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    expect(setUpCriu()).toEqual({ status: 0, output: '' });
    expect(readFileSync(kept(), 'utf8')).toContain('CRIU_FAULT');
    expect(existsSync(at('absent'))).toBe(false);
    expect(readdirSync(dirname(dirname(kept()))).sort()).toEqual(['bin', 'lock']);
  });

  systemTest([], 'takes what another set-up found at the same time', () => {
    const without = '[ -n "$CRIU_FAULT" ] || { echo tried >>"$TRIED"; exit 1; }';
    program('criu', `${without}\nexec "${findProgram('criu')}" "$@"`);
    const both = 'set_up_criu & set_up_criu; wait $!';
    expect(setUpCriu(both)).toEqual({ status: 0, output: '' });
    // The first asked for its version and tried it twice; the second used the wrapper.
    expect(readFileSync(at('tried'), 'utf8').match(/tried/g)).toHaveLength(3);
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
