import { basename } from 'node:path';
import { formatBytes } from '../terminal/quantities.ts';
import { type Finding, ok, warn } from './check.ts';
import type { Host } from './host.ts';

/** Examines whether plaintext in memory can get onto a disk. */
export function memoryFindings(host: Host): Finding[] {
  return [lockedMemory(host), ...swap(host), cores(host)];
}

/** Every key has a page of its own; an image of many objects has many keys. */
const ENOUGH_FOR_KEYS = 1 << 20;
/** A writable mount keeps plaintext in memory until it has a whole chunk. */
const ENOUGH_FOR_WRITING = 6 << 20;

function lockedMemory(host: Host): Finding {
  const subject = 'locked memory';
  const soft = /^Max locked memory\s+(\S+)/m.exec(host.readFile('/proc/self/limits') ?? '')?.[1] ?? 'unknown';
  if (host.isRoot || soft === 'unlimited') return ok(subject, 'no limit: keys cannot be swapped out');
  if (Number(soft) >= ENOUGH_FOR_WRITING)
    return ok(subject, `${formatBytes(Number(soft))}: enough for keys and writing`);
  const limit = /^\d+$/.test(soft) ? formatBytes(Number(soft)) : soft;
  const what = Number(soft) >= ENOUGH_FOR_KEYS ? 'plaintext on its way into a writable mount' : 'keys';
  const found = `limit ${limit}: ${what} may be swapped out`;
  return warn(subject, found, 'raise it: "memlock" in /etc/security/limits.conf, LimitMEMLOCK= in a systemd unit');
}

function swap(host: Host): Finding[] {
  const lines =
    host
      .readFile('/proc/swaps')
      ?.split('\n')
      .slice(1)
      .filter((line) => line.trim() !== '') ?? [];
  if (lines.length === 0) return [ok('swap', 'none in use')];
  return lines.map((line) => {
    const [path = '', type] = line.split(/\s+/);
    const subject = `swap ${path}`;
    const device = type === 'partition' ? path : host.deviceBelow(path);
    const kind = device === undefined ? 'a file' : deviceKind(host, basename(device));
    if (kind === 'encrypted' || kind === 'in memory') return ok(subject, kind);
    return warn(
      subject,
      `not known to be encrypted (${kind}): plaintext of running and restored processes may reach it`,
      'swapoff -a, or encrypt it: a random key in /etc/crypttab (option swap), or zram',
    );
  });
}

/**
 * Tells whether a block device is encrypted: a dm device is if it, or each device below it, is dm-crypt.
 * @param name as in /dev
 */
function deviceKind(host: Host, name: string, depth = 0): 'encrypted' | 'in memory' | 'a plain device' {
  const device = host.link(`/dev/${name}`) ?? host.link(`/dev/mapper/${name}`);
  const block = basename(device ?? name);
  const directory = `/sys/class/block/${block}`;
  if (block.startsWith('zram')) {
    const backing = host.readFile(`${directory}/backing_dev`)?.trim() ?? 'none';
    return backing === 'none' ? 'in memory' : deviceKind(host, basename(backing), depth + 1);
  }
  if (host.readFile(`${directory}/dm/uuid`)?.startsWith('CRYPT-')) return 'encrypted';
  const below = host.names(`${directory}/slaves`);
  const all = below.length > 0 && depth < 8 && below.every((next) => deviceKind(host, next, depth + 1) === 'encrypted');
  return all ? 'encrypted' : 'a plain device';
}

function cores(host: Host): Finding {
  const subject = 'core files';
  const pattern = host.readFile('/proc/sys/kernel/core_pattern')?.trim() ?? '';
  const soft = /^Max core file size\s+(\S+)/m.exec(host.readFile('/proc/self/limits') ?? '')?.[1];
  const own = 'the daemon itself never leaves one';
  if (pattern === '' || /^\|\S*\/(false|true)\b/.test(pattern)) return ok(subject, 'turned off');
  if (!pattern.startsWith('|') && soft === '0') return ok(subject, `turned off by the limit of this session; ${own}`);
  return warn(
    subject,
    `a restored process that crashes leaves its memory in clear: ${pattern.slice(0, 80)}; ${own}`,
    'ulimit -c 0 where you restore; or sysctl kernel.core_pattern="|/bin/false"',
  );
}
