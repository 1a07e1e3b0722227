import { spawnSync } from 'node:child_process';
import { accessSync, closeSync, constants, existsSync, openSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'vitest';
import { readRingSwitch } from '../../../src/fuse/uring/switch.ts';
import { hasProxy, hasSoftHsm, hasSoftoken } from '../../support/tokens.ts';

const cacheDirectory = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ckptfs');
/** Where `scripts/setup` puts its wrappers of criu, crit, checkpointctl when the host has none that work. */
const toolsDirectory = join(cacheDirectory, 'criu', 'bin');

/** Where `scripts/setup` puts a configuration of OpenSSL that makes Node use a FIPS provider, where it can have one. */
export const fipsConfiguration = join(cacheDirectory, 'fips', 'module', 'openssl.cnf');

/** Dumps and restores a process by the criu of PATH, and prints why it cannot. */
const criuProbe = fileURLToPath(new URL('../../../scripts/lib/criu-probe', import.meta.url));

/** PATH as the shell would have it after sourcing `scripts/lib/env.sh`. */
const toolPath = [toolsDirectory, process.env['PATH'] ?? '', '/usr/local/sbin', '/usr/sbin', '/sbin'].join(delimiter);

/** The environment in which tests start outside programs: the same, with a working criu first in PATH. */
export const toolEnvironment: NodeJS.ProcessEnv = { ...process.env, PATH: toolPath };

/** Absolute path of a program in {@link toolEnvironment}'s PATH, or undefined. */
export function findProgram(name: string): string | undefined {
  for (const directory of toolPath.split(delimiter)) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next directory may have it.
    }
  }
  return undefined;
}

type Probe = () => string | undefined;

const program =
  (name: string): Probe =>
  () =>
    findProgram(name) === undefined ? `the program ${name} is not installed` : undefined;

function file(path: string, flags: 'r' | 'r+'): string | undefined {
  try {
    closeSync(openSync(path, flags));
    return undefined;
  } catch (error) {
    return `${path} cannot be opened: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function succeeds(command: string, args: readonly string[], why: string): string | undefined {
  const result = spawnSync(command, args, { env: toolEnvironment, encoding: 'utf8' });
  if (result.status === 0) return undefined;
  return `${why} (${command} ${args.join(' ')}: ${(result.stderr || result.error?.message || '').trim().slice(0, 200)})`;
}

function isRoot(): string | undefined {
  return process.getuid?.() === 0 ? undefined : 'it needs root';
}

/** What `criu check` finds good may not work all the same: only dumping and restoring shows it. */
function workingCriu(): string | undefined {
  const missing = program('criu')() ?? isRoot();
  if (missing !== undefined) return missing;
  const result = spawnSync(criuProbe, { env: toolEnvironment, encoding: 'utf8' });
  return result.status === 0 ? undefined : `this criu does not work on this kernel: ${result.stdout.trim()}`;
}

/** Some distributions build it without criu. */
function crunWithCriu(): string | undefined {
  const { stdout } = spawnSync('crun', ['--version'], { env: toolEnvironment, encoding: 'utf8' });
  return stdout.includes('+CRIU') ? undefined : 'this crun is built without criu';
}

function fuseNative(): string | undefined {
  try {
    createRequire(import.meta.url).resolve('fuse-native');
    return undefined;
  } catch {
    return 'the optional package fuse-native is not installed';
  }
}

function ioUring(): string | undefined {
  return {
    on: undefined,
    off: 'FUSE over io_uring is switched off (scripts/lib/ring-switch switches it on)',
    absent: 'this kernel has no FUSE over io_uring',
  }[readRingSwitch()];
}

/** What test/system/support/systemd-host needs: a systemd, control groups of version 2, and an overlay. */
function systemdHost(): string | undefined {
  const trial = `mount -t cgroup2 cgroup2 /mnt && d=$(mktemp -d /mnt/ckptfs-XXXXXX) && rmdir "$d" &&
    mount -t tmpfs tmpfs /mnt && mkdir /mnt/new /mnt/work &&
    mount -t overlay -o lowerdir=/etc,upperdir=/mnt/new,workdir=/mnt/work overlay /etc`;
  const namespaces = ['--cgroup', '--mount', '--pid', '--ipc', '--uts', '--fork'];
  return (
    isRoot() ??
    file('/lib/systemd/systemd', 'r') ??
    succeeds('unshare', [...namespaces, 'sh', '-c', trial], 'no namespaces and mounts for a systemd')
  );
}

function isDebian(): boolean {
  try {
    return /^ID=debian$/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
}

/** A directory of control groups that limit numbers of threads, if this machine has one. */
export const PIDS_GROUPS = ['/sys/fs/cgroup/pids', '/sys/fs/cgroup'].find((directory) => {
  const limits = directory.endsWith('/pids') ? 'cgroup.procs' : 'cgroup.subtree_control';
  try {
    return limits === 'cgroup.procs'
      ? existsSync(join(directory, limits))
      : /\bpids\b/.test(readFileSync(join(directory, limits), 'utf8'));
  } catch {
    return false;
  }
});

/** One probe per feature; a probe says why the feature is missing, or undefined where it is there. */
const probes = {
  root: isRoot,
  fuse: () => file('/dev/fuse', 'r+'),
  fusermount: program('fusermount3'),
  fuseNative,
  ioUring,
  pidsGroups: () => isRoot() ?? (PIDS_GROUPS === undefined ? 'no control groups that limit threads' : undefined),
  namespaces: () => isRoot() ?? succeeds('unshare', ['--mount', '--pid', '--fork', 'true'], 'no private namespaces'),
  loop: () => isRoot() ?? file('/dev/loop-control', 'r+') ?? program('losetup')() ?? program('mkfs.ext4')(),
  criu: workingCriu,
  userfaultfd: () => workingCriu() ?? succeeds('criu', ['check', '--feature', 'uffd-noncoop'], 'no userfaultfd'),
  crit: program('crit'),
  checkpointctl: program('checkpointctl'),
  runc: program('runc'),
  crun: () => program('crun')() ?? crunWithCriu(),
  gcc: program('gcc'),
  npm: program('npm'),
  python: () => (findProgram('python3') ? file('/usr/bin/python3', 'r') : 'the program python3 is not installed'),
  prometheus: () => file('/usr/lib/python3/dist-packages/prometheus_client/parser.py', 'r'),
  java: program('java'),
  gdb: program('gdb'),
  strace: program('strace'),
  fio: program('fio'),
  git: program('git'),
  podman: program('podman'),
  rsync: program('rsync'),
  tar: program('tar'),
  zstd: program('zstd'),
  getfattr: program('getfattr'),
  setpriv: program('setpriv'),
  busybox: program('busybox'),
  bsdtar: program('bsdtar'),
  systemdAnalyze: program('systemd-analyze'),
  systemdHost,
  zsh: program('zsh'),
  softHsm: () => (hasSoftHsm ? (program('softhsm2-util')() ?? program('pkcs11-tool')()) : 'SoftHSM is not installed'),
  p11Kit: () => (hasProxy ? undefined : 'p11-kit is not installed'),
  nss: () => (hasSoftoken ? (program('certutil')() ?? program('symkeyutil')()) : 'the token of NSS is not installed'),
  pykmip: program('pykmip-server'),
  swtpm: program('swtpm'),
  dockerRegistry: program('docker-registry'),
  swift: () => file('/usr/lib/python3/dist-packages/swift/__init__.py', 'r'),
  fipsProvider: () => file(fipsConfiguration, 'r'),
} satisfies Record<string, Probe>;

/** What a system test may need of the machine. */
export type Feature = keyof typeof probes;

/**
 * What a kernel or processor has or has not, whatever is installed: no set-up brings it. All else, /dev/fuse and a criu
 * that works included, has to be there where CI=true, because without it hardly anything would be tested.
 */
const partsOfTheMachine: ReadonlySet<Feature> = new Set([
  'loop',
  'pidsGroups',
  'systemdHost',
  // Only Debian has the package.
  ...(isDebian() ? [] : (['fipsProvider'] as const)),
  ...(process.arch === 'x64' ? [] : (['fuseNative'] as const)),
  ...(readRingSwitch() === 'absent' ? (['ioUring'] as const) : []),
]);

const answers = new Map<Feature, string | undefined>();

/** Why `feature` is missing here, or undefined where it is there; asked of the machine once per test file. */
export function whyMissing(feature: Feature): string | undefined {
  if (!answers.has(feature)) answers.set(feature, probes[feature]());
  return answers.get(feature);
}

/** Whether this machine has `feature`. */
export function have(feature: Feature): boolean {
  return whyMissing(feature) === undefined;
}

/** With CI=true what could have been set up must be there. */
const setUpIsComplete = process.env['CI'] === 'true';

/** Registers the test as skipped, by a name that says why: so the reports have it, as the printed line has. */
function skipped(name: string, missing: readonly Feature[]): void {
  const reasons = missing.map((feature) => whyMissing(feature)).join('; ');
  const cannot = missing.every((feature) => partsOfTheMachine.has(feature));
  const message = `${name}: ${cannot ? 'cannot run on this machine' : 'not run'}, ${reasons}`;
  if (setUpIsComplete && !cannot) {
    test(name, () => {
      throw new Error(`${message}; with CI=true that is a failure (scripts/setup installs what is missing)`);
    });
    return;
  }
  process.stderr.write(`skipped: ${message}\n`);
  test.skip(message, () => {});
}

/**
 * A vitest `test` that needs parts of the machine. Where one is missing the test is skipped and the reason printed;
 * with CI=true it fails for that reason, unless no set-up could bring what is missing.
 *
 * @param timeout milliseconds, as in the configuration of vitest unless told
 */
export function systemTest(
  features: readonly Feature[],
  name: string,
  body: () => void | Promise<void>,
  timeout?: number,
): void {
  const missing = features.filter((feature) => !have(feature));
  if (missing.length > 0) skipped(name, missing);
  else test(name, timeout === undefined ? {} : { timeout }, body);
}

/** A vitest `describe` under the same rule as {@link systemTest}: its hooks do not run either where it is skipped. */
export function describeIf(features: readonly Feature[], name: string, body: () => void): void {
  const missing = features.filter((feature) => !have(feature));
  if (missing.length > 0) skipped(name, missing);
  else describe(name, body);
}
