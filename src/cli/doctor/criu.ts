import { dirname } from 'node:path';
import { type Finding, ok, warn } from './check.ts';
import type { CriuOutcome } from './criu-trial.ts';
import type { Host } from './host.ts';

/** Tries whether a criu works here; undefined where it cannot be tried. */
type Trial = ((program: string) => Promise<CriuOutcome>) | undefined;

const SUBJECT = 'criu';
const KEPT_SUBJECT = 'criu of scripts/setup';
const INSTALL = 'install the package criu, version 4 or newer (Debian 13 has 4.1.1)';
const STEPPING =
  'set CRIU_FAULT=130 for criu; runc and podman need a wrapper that does, named criu and first in PATH: docs/engines.md';

/** From this kernel on, criu up to 4.1 does not know all options of a socket. */
const NEW_SOCKETS_KERNEL = [6, 16];
const OLD_SOCKETS_CRIU = [4, 1];

/**
 * Examines the criu in PATH and, unless that one works, the one that `scripts/setup` has put into the cache.
 * @param trial dumps and restores a process with it; without a trial, only versions are compared
 */
export async function criuFindings(host: Host, trial: Trial): Promise<Finding[]> {
  const first = host.program('criu');
  const kept = host.keptCriu !== undefined && host.keptCriu !== first ? host.keptCriu : undefined;
  const findings = [await criuFinding(host, trial, SUBJECT, first)];
  if (kept !== undefined && findings[0]?.level !== 'ok') {
    const finding = await criuFinding(host, trial, KEPT_SUBJECT, kept);
    const advice = `put it first in PATH: PATH=${dirname(kept)}:$PATH`;
    findings.push(finding.level === 'ok' ? warn(KEPT_SUBJECT, `${finding.found}; it is not in PATH`, advice) : finding);
  }
  const version = [first, kept].flatMap((path) => versionOf(host, path) ?? []).at(-1);
  if (version === undefined) return findings;
  return [...findings, sockets(host, version), lazyRestore(host, trial === undefined ? undefined : (kept ?? first))];
}

async function criuFinding(host: Host, trial: Trial, name: string, path: string | undefined): Promise<Finding> {
  if (path === undefined) return warn(name, 'not found in PATH: needed to dump and restore, not to mount', INSTALL);
  const version = versionOf(host, path);
  if (version === undefined) return warn(name, `${path} does not run`, INSTALL);
  const which = `${version}, ${path}`;
  if (trial === undefined) {
    if (Number.parseInt(version, 10) < 4) return warn(name, `${which}: fails on kernels from 6.x on`, INSTALL);
    return ok(name, `${which}; not tried`);
  }
  const outcome = await trial(path);
  if (!outcome.works) {
    return warn(
      name,
      `${which} does not work here: ${outcome.reason}`,
      `${INSTALL}; docs/engines.md says what it needs`,
    );
  }
  if (outcome.by === 'itself') {
    const how = setsSteps(host, path) ? ', by CRIU_FAULT, which this wrapper sets' : '';
    return ok(name, `${which}: dumps and restores a process${how}`);
  }
  return warn(
    name,
    `${which}: dumps and restores a process only with CRIU_FAULT=130: this machine lacks hardware breakpoints`,
    STEPPING,
  );
}

/** Tells whether a program is a shell script that sets CRIU_FAULT; `scripts/setup` makes one where criu needs it. */
function setsSteps(host: Host, path: string): boolean {
  const text = host.readFile(path) ?? '';
  return text.startsWith('#!') && text.includes('CRIU_FAULT=');
}

function versionOf(host: Host, path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  return /^Version: (\S+)/m.exec(host.output(path, ['--version']) ?? '')?.[1];
}

function sockets(host: Host, version: string): Finding {
  const release = host.readFile('/proc/sys/kernel/osrelease')?.trim() ?? '';
  const isOld = compare(version, OLD_SOCKETS_CRIU) <= 0 && compare(release, NEW_SOCKETS_KERNEL) >= 0;
  if (!isOld) return ok('IPv4-only sockets', `known to criu ${version} on Linux ${release}`);
  return warn(
    'IPv4-only sockets',
    `criu ${version} refuses them on Linux ${release} ("Can't get 1:16 opt"): a TCP server that listens cannot be dumped`,
    'a criu newer than 4.1',
  );
}

/**
 * Examines whether a process can run before criu has read its memory.
 * @param criu to be asked; undefined where it may not be run
 */
function lazyRestore(host: Host, criu: string | undefined): Finding {
  const subject = 'lazy restore';
  if (criu === undefined) return ok(subject, 'not tried; it needs userfaultfd');
  if (host.output(criu, ['check', '--feature', 'uffd-noncoop']) === undefined) {
    return warn(
      subject,
      'no userfaultfd here: criu lazy-pages, and restores with --lazy-pages, fail',
      'a kernel with CONFIG_USERFAULTFD; in a container, a seccomp profile that allows userfaultfd',
    );
  }
  const isForAll = host.readFile('/proc/sys/vm/unprivileged_userfaultfd')?.trim() === '1';
  return ok(
    subject,
    `works by userfaultfd${isForAll ? '' : ', except in user namespaces (vm.unprivileged_userfaultfd)'}`,
  );
}

/** Compares the first two numbers of a version. */
function compare(version: string, [major = 0, minor = 0]: readonly number[]): number {
  const [, first, second] = /^(\d+)\.?(\d*)/.exec(version) ?? [];
  return Number(first ?? 0) - major || Number(second ?? 0) - minor;
}
