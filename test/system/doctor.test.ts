// Goal: `ckptfs doctor` finds out by trying what a host can do.
// Method: real mounts and a real criu, under programs that take one ability away.
import { spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, expect } from 'vitest';
import type { Finding } from '../../src/cli/doctor/check.ts';
import { kill } from './support/children.ts';
import { asNobody, ckptfsProgram, isAlive, until, withFuseForAll } from './support/mounts.ts';
import { PATIENCE } from './support/patience.ts';
import { describeIf, findProgram, systemTest, toolEnvironment } from './support/requirements.ts';

let base: string;
const at = (...names: string[]): string => join(base, ...names);

beforeEach(() => {
  base = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'ckptfs-examined-')));
  for (const name of ['bin', 'cache', 'tmp']) fs.mkdirSync(at(name));
  fs.chmodSync(base, 0o755);
  fs.chmodSync(at('tmp'), 0o1777);
});
afterEach(() => {
  expect(fs.readdirSync(at('tmp'))).toEqual([]);
  expect(fs.readFileSync('/proc/self/mounts', 'utf8')).not.toContain(base);
  fs.rmSync(base, { recursive: true });
});

/** Without any criu but those that a test puts in place. */
function environment(): NodeJS.ProcessEnv {
  const path = [at('bin'), ...(process.env['PATH'] ?? '').split(delimiter)];
  const withoutCriu = path.filter((directory) => directory === at('bin') || !fs.existsSync(join(directory, 'criu')));
  return { ...toolEnvironment, PATH: withoutCriu.join(delimiter), XDG_CACHE_HOME: at('cache'), TMPDIR: at('tmp') };
}

function program(path: string, text: string): void {
  fs.mkdirSync(join(path, '..'), { recursive: true });
  fs.writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
}

interface Examination {
  readonly status: number | null;
  readonly findings: readonly Finding[];
}

/** Runs `doctor --json`, by another program in front of it where one is given. */
function examine(options: readonly string[] = [], before: readonly string[] = []): Examination {
  const [command = '', ...args] = [...before, ckptfsProgram, 'doctor', '--json', ...options];
  const { status, stdout, stderr } = spawnSync(command, args, {
    env: environment(),
    encoding: 'utf8',
    timeout: PATIENCE,
  });
  expect(stderr).toBe('');
  return { status, findings: JSON.parse(stdout) };
}

const about = (subject: string, { findings }: Examination): Finding | undefined =>
  findings.find((finding) => finding.subject === subject);

const works = { level: 'ok', found: expect.stringMatching(/^a mount was tried and works; FUSE 7\.\d+$/) };
const notADevice = ['unshare', '--mount', 'sh', '-c', 'mount --bind /dev/null /dev/fuse && exec "$@"', 'sh'];

describeIf(['root', 'fuse', 'namespaces'], 'doctor tries a mount', () => {
  systemTest([], 'as root, out of sight of other processes', () => {
    expect(about('/dev/fuse', examine())).toMatchObject(works);
  });

  systemTest(['setpriv', 'fusermount'], 'as an ordinary user by the helper, and takes it away', () =>
    withFuseForAll(() => {
      const user = [...asNobody(base), `TMPDIR=${at('tmp')}`];
      expect(about('/dev/fuse', examine([], user))).toMatchObject(works);
    }),
  );

  systemTest([], 'and says what is missing where a look would find nothing wrong', () => {
    const tried = examine([], notADevice);
    expect(tried.status).toBe(33);
    expect(about('/dev/fuse', tried)).toMatchObject({
      level: 'missing',
      found: expect.stringMatching(/^cannot mount/),
    });
    const looked = examine(['--quick'], notADevice);
    expect(looked.status).toBe(0);
    expect(about('/dev/fuse', looked)).toMatchObject({ level: 'ok', found: 'can be opened' });
  });

  systemTest(['setpriv', 'fusermount'], 'with a bound, and kills a helper that hangs', () =>
    withFuseForAll(() => {
      program(at('bin', 'fusermount3'), `echo $$ >${at('tmp')}/pid; exec sleep 600`);
      const user = [...asNobody(base), `PATH=${at('bin')}:${process.env['PATH']}`, `TMPDIR=${at('tmp')}`];
      const tried = examine([], user);
      expect(about('/dev/fuse', tried)).toMatchObject({
        level: 'missing',
        found: 'a trial mount did not serve within 15 seconds',
      });
      const pid = fs.readFileSync(at('tmp', 'pid'), 'utf8').trim();
      fs.rmSync(at('tmp', 'pid'));
      return until('the helper is gone', () => !isAlive(Number(pid)));
    }),
  );
});

describeIf(['root', 'fuse', 'namespaces', 'criu'], 'doctor tries criu', () => {
  const criu = (): string => `exec "${findProgram('criu')}" "$@"`;
  const version = '[ "$1" != --version ] || { echo "Version: 4.9"; exit; }';

  systemTest([], 'that works by itself', () => {
    program(at('bin', 'criu'), `${version}\n${criu()}`);
    expect(about('criu', examine())).toMatchObject({
      level: 'ok',
      found: `4.9, ${at('bin', 'criu')}: dumps and restores a process`,
    });
    expect(about('criu', examine(['--quick']))).toMatchObject({
      level: 'ok',
      found: expect.stringMatching(/not tried$/),
    });
  });

  systemTest([], 'that waits for ever without CRIU_FAULT=130, and does not wait with it', () => {
    program(at('bin', 'criu'), `${version}\n[ "$CRIU_FAULT" = 130 ] || exec sleep 600\n${criu()}`);
    expect(about('criu', examine())).toMatchObject({
      level: 'warn',
      found: expect.stringContaining('dumps and restores a process only with CRIU_FAULT=130'),
      advice: expect.stringContaining('wrapper'),
    });
  });

  systemTest([], 'that fails, and gives its reason; and finds the one that set-up has brought', () => {
    program(at('bin', 'criu'), `${version}\necho "needs a kernel of its own" >&2; exit 1`);
    const kept = at('cache', 'ckptfs', 'criu', 'bin', 'criu');
    program(kept, `export CRIU_FAULT="\${CRIU_FAULT:-130}"; ${criu()}`);
    const examination = examine();
    expect(examination.status).toBe(0);
    expect(about('criu', examination)).toMatchObject({
      level: 'warn',
      found: `4.9, ${at('bin', 'criu')} does not work here: needs a kernel of its own`,
    });
    expect(about('criu of scripts/setup', examination)).toMatchObject({
      level: 'warn',
      found: expect.stringMatching(
        /dumps and restores a process, by CRIU_FAULT, which this wrapper sets; it is not in PATH$/,
      ),
      advice: expect.stringContaining(join(kept, '..')),
    });
  });

  systemTest([], 'and leaves nothing when it is ended in the middle', async () => {
    program(at('bin', 'criu'), `${version}\necho >${at('cache', 'started')}; exec sleep 600`);
    const child = spawn(ckptfsProgram, ['doctor'], { env: environment(), stdio: 'ignore' });
    await until('criu runs', () => fs.existsSync(at('cache', 'started')));
    expect(await kill(child)).toEqual([143, null]);
    const isTrial = (pid: string): boolean => {
      try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(at('bin', 'criu'));
      } catch {
        return false;
      }
    };
    await until('all of the trial is gone', () => !fs.readdirSync('/proc').some(isTrial));
  });

  systemTest([], 'and soft-dirty tracking as criu finds it', () => {
    const check = spawnSync(findProgram('criu') ?? '', ['check', '--feature', 'mem_dirty_track']);
    const level = check.status === 0 ? 'ok' : 'warn';
    expect(about('soft-dirty tracking', examine(['--quick']))).toMatchObject({ level });
  });
});
