import type { CkptfsError } from '../../base/errors.ts';
import { RING_SWITCH, ringSwitchOf } from '../../fuse/uring/switch.ts';
import { hintFor } from '../hints.ts';
import { type Finding, missing, ok, warn } from './check.ts';
import type { Host } from './host.ts';

/** The version of FUSE that the kernel spoke when a mount was tried, or the error that the trial met. */
export type MountingTrial = { readonly protocol: string } | { readonly failure: CkptfsError };

/**
 * Examines what mounting needs.
 * @param trial undefined where no mount was tried: then the device and the helper are only looked at
 */
export function mountingFindings(host: Host, trial?: MountingTrial): Finding[] {
  return [device(host, trial), rings(host), helper(host), otherUsers(host), overlay(host)];
}

function device(host: Host, trial: MountingTrial | undefined): Finding {
  if (trial === undefined) return deviceAsSeen(host);
  if ('protocol' in trial) return ok('/dev/fuse', `a mount was tried and works; FUSE ${trial.protocol}`);
  const { message } = trial.failure;
  const advice = hintFor(trial.failure) ?? 'docs/cli.md says what mounting needs';
  const seen = deviceAsSeen(host);
  return seen.level === 'ok' ? missing('/dev/fuse', message, advice) : seen;
}

function deviceAsSeen(host: Host): Finding {
  const load = 'load the kernel module: modprobe fuse; in a container: pass the device in with --device /dev/fuse';
  if (!host.exists('/dev/fuse')) return missing('/dev/fuse', 'does not exist', load);
  if (!host.mayReadAndWrite('/dev/fuse')) {
    return missing('/dev/fuse', 'this user may not open it', 'as root: chmod 0666 /dev/fuse, as distributions have it');
  }
  const known =
    host
      .readFile('/proc/filesystems')
      ?.split('\n')
      .some((line) => line.endsWith('\tfuse')) ?? false;
  return known ? ok('/dev/fuse', 'can be opened') : missing('/dev/fuse', 'this kernel has no FUSE', load);
}

/** No more than a wish: every mount works without it. */
function rings(host: Host): Finding {
  const subject = 'FUSE over io_uring';
  const text = host.readFile(RING_SWITCH);
  if (text === undefined) return ok(subject, 'this kernel has none; mounts are served through /dev/fuse');
  if (ringSwitchOf(text) === 'on') return ok(subject, 'switched on: mounts that are only read use it');
  return warn(
    subject,
    'switched off, as it is unless root changes that: random reads are faster over it',
    `as root, for all file systems of this machine: echo Y > ${RING_SWITCH}`,
  );
}

function helper(host: Host): Finding {
  const path = host.program('fusermount3') ?? host.program('fusermount');
  if (path !== undefined) return ok('fusermount3', path);
  const advice =
    'install the package fuse3 (so called on Debian, Ubuntu, Fedora and Arch); without it only root can mount';
  return host.isRoot ? warn('fusermount3', 'not found', advice) : missing('fusermount3', 'not found', advice);
}

function otherUsers(host: Host): Finding {
  const subject = 'user_allow_other';
  const lines = host.readFile('/etc/fuse.conf')?.split('\n') ?? [];
  if (lines.some((line) => line.trim() === 'user_allow_other')) return ok(subject, 'set in /etc/fuse.conf');
  if (host.isRoot) return ok(subject, 'not set in /etc/fuse.conf; root does not need it');
  return warn(
    subject,
    'not set in /etc/fuse.conf: --allow-other and --allow-root will be refused',
    'as root: echo user_allow_other >> /etc/fuse.conf; criu restore runs as root and needs --allow-other or --allow-root',
  );
}

function overlay(host: Host): Finding {
  const known =
    host
      .readFile('/proc/filesystems')
      ?.split('\n')
      .some((line) => line.endsWith('\toverlay')) ?? false;
  if (known) return ok('overlayfs', 'this kernel has it');
  const release = host.readFile('/proc/sys/kernel/osrelease')?.trim() ?? '';
  const module = host
    .names(`/lib/modules/${release}/kernel/fs/overlayfs`)
    .some((name) => name.startsWith('overlay.ko'));
  if (module) return ok('overlayfs', 'a module of this kernel');
  return warn(
    'overlayfs',
    'not found: --scratch will be refused',
    'modprobe overlay; or give criu -W for its own files',
  );
}
