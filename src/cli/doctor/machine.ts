import { type Finding, ok, warn } from './check.ts';
import type { Host } from './host.ts';

/**
 * Examines what else criu and container engines need of a machine. A mount needs none of it.
 */
export function machineFindings(host: Host): Finding[] {
  return [limits(host), softDirty(host), controlGroups(host), ipv6(host), iptables(host), loopDevices(host)];
}

/** linux/capability.h. */
const CAP_SYS_RESOURCE = 24n;

/** Looks at the bounding set for an ordinary user: what root would have here. */
function limits(host: Host): Finding {
  const subject = 'CAP_SYS_RESOURCE';
  const set = host.isRoot ? 'CapEff' : 'CapBnd';
  const digits = new RegExp(`^${set}:\\s*([0-9a-f]+)`, 'm').exec(host.readFile('/proc/self/status') ?? '')?.[1] ?? '0';
  if ((BigInt(`0x${digits}`) >> CAP_SYS_RESOURCE) & 1n) return ok(subject, 'held by root');
  return warn(
    subject,
    'not held by root here: criu says "Can\'t setup RLIMIT_NOFILE for self" and goes on',
    'nothing; in a container engine, limits that it may set, such as --ulimit nofile=1024:1024',
  );
}

function softDirty(host: Host): Finding {
  const subject = 'soft-dirty tracking';
  if (host.tracksWrites()) return ok(subject, 'works');
  return warn(
    subject,
    'this kernel has none: criu pre-dump, and pre-dumps by runc and podman, fail',
    'whole dumps; a chain of them by --prev-images-dir works',
  );
}

function controlGroups(host: Host): Finding {
  const subject = 'control groups';
  const types = (host.readFile('/proc/self/mounts') ?? '').split('\n').map((line) => line.split(' ')[2]);
  const [first, second] = [types.includes('cgroup'), types.includes('cgroup2')];
  if (first !== second) return ok(subject, first ? 'v1' : 'v2');
  return warn(
    subject,
    first ? 'v1 and v2 mixed: engines may not manage with them' : 'none is mounted',
    'criu: --manage-cgroups=ignore; podman: --cgroup-manager cgroupfs',
  );
}

function ipv6(host: Host): Finding {
  if (host.exists('/proc/net/if_inet6')) return ok('IPv6', 'this kernel has it');
  return warn('IPv6', 'none: ip6tables fails where a network namespace is dumped', "use the host's network");
}

/** Examines iptables; as root in a network namespace of its own, which makes the kernel load the modules it needs. */
function iptables(host: Host): Finding {
  const subject = 'iptables';
  const needed = 'needed where a container with a network of its own, or an open TCP connection, is dumped';
  const names = ['iptables', 'ip6tables'];
  const absent = names.filter((name) => host.program(name) === undefined);
  if (absent.length > 0) return warn(subject, `${absent.join(' and ')} not found; ${needed}`, 'install iptables');
  const broken = names.filter((name) => {
    const list = [host.program(name) ?? name, '-w', '-n', '-L'];
    return host.isRoot && host.output('unshare', ['--net', ...list]) === undefined;
  });
  if (broken.length === 0) return ok(subject, names.map((name) => host.program(name)).join(', '));
  return warn(
    subject,
    `${broken.join(' and ')} cannot be used on this kernel; ${needed}`,
    'a kernel with netfilter, or the other kind of iptables (update-alternatives --config iptables)',
  );
}

function loopDevices(host: Host): Finding {
  const subject = 'loop devices';
  if (!host.isRoot) return ok(subject, host.exists('/dev/loop-control') ? 'for root' : 'none; no command needs them');
  if (host.canOpen('/dev/loop-control')) return ok(subject, 'can be made');
  return warn(subject, 'none: an image file of a file system cannot be mounted', 'modprobe loop; ckptfs needs none');
}
