import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { prometheusText } from '../../../../src/cli/terminal/prometheus.ts';
import type { DaemonStatus } from '../../../../src/serve/control/control-messages.ts';
import type { MountStatus } from '../../../../src/serve/control/status.ts';

const daemon: DaemonStatus = {
  state: 'serving',
  mountPoint: '/mnt/cr',
  device: '0:41',
  location: '/srv/enc',
  imageId: 'ab'.repeat(16),
  transport: 'kernel',
  workers: 2,
  scratch: false,
  write: false,
  uptimeSeconds: 8,
  key: { locked: true, lease: { state: 'revoked', secondsLeft: 40 } },
  counters: {
    requests: 20,
    bytesServed: 2 ** 40,
    bytesServedAhead: 0,
    storedBytesRead: 17,
    cacheHits: 1,
    cacheMisses: 2,
    authenticationFailures: 3,
  },
  options: {
    allowOther: false,
    allowRoot: false,
    noExec: false,
    fsName: 'ckptfs',
    cacheSize: 1 << 20,
    pageFiles: 'auto',
    logFormat: 'text',
  },
};

function mount(mountPoint: string, more: Partial<MountStatus> = {}): MountStatus {
  const common = { mountPoint, device: '0:41', scratch: false, source: '/srv/enc', pid: 1 };
  return { state: 'serving', ...common, daemon, ...more };
}

test('each number is a sample, and what a mount does not have is none', () => {
  const text = prometheusText([mount('/mnt/cr'), mount('/mnt/dead', { state: 'dead', daemon: undefined })]);
  const lines = text.split('\n');
  expect(lines).toContain('ckptfs_mounts{state="serving"} 1');
  expect(lines).toContain('ckptfs_mounts{state="dead"} 1');
  expect(lines).toContain('ckptfs_mounts{state="silent"} 0');
  expect(lines).toContain('ckptfs_mount_info{mount_point="/mnt/dead",device="0:41",state="dead",image="/srv/enc"} 1');
  expect(lines).toContain('ckptfs_mount_locked{mount_point="/mnt/cr",device="0:41"} 1');
  expect(lines).toContain('ckptfs_mount_lease_revoked{mount_point="/mnt/cr",device="0:41"} 1');
  expect(lines).toContain('ckptfs_mount_served_bytes_total{mount_point="/mnt/cr",device="0:41"} 1099511627776');
  expect(lines).toContain('ckptfs_mount_authentication_failures_total{mount_point="/mnt/cr",device="0:41"} 3');
  expect(text).not.toContain('key_remaining_seconds');
  expect(text).not.toContain('undefined');
  expect(lines.filter((line) => line.includes('"/mnt/dead"'))).toHaveLength(1);
});

const counts = { blocks: 8, touchedBlocks: 3, wantedBlocks: 2, cacheHits: 1, fetchedBlocks: 5 };
const counters = { ...counts, fetchedBytes: 1_300_000, requests: 2, failures: 1 };
const remote = { directory: '/var/cache/ckptfs/images/0/image', counters };

test('a mounted URL has what was fetched of it, where the process that fetches says so', () => {
  const lines = prometheusText([
    mount('/mnt/cr', { daemon: { ...daemon, remote } }),
    mount('/mnt/quiet', { daemon: { ...daemon, remote: { directory: remote.directory } } }),
  ]).split('\n');
  expect(lines.filter((line) => /^ckptfs_mount_fetch/.test(line))).toEqual([
    'ckptfs_mount_fetched_bytes_total{mount_point="/mnt/cr",device="0:41"} 1300000',
    'ckptfs_mount_fetches_total{mount_point="/mnt/cr",device="0:41"} 2',
    'ckptfs_mount_fetch_failures_total{mount_point="/mnt/cr",device="0:41"} 1',
  ]);
});

test('a path cannot be more than one label', () => {
  const hostile = '/mnt/a"} 1\n# TYPE x gauge\nx{y="\\';
  const text = prometheusText([mount(hostile)]);
  expect(text).not.toContain('\nx{');
  expect(text).toContain('mount_point="/mnt/a\\"} 1\\\\n# TYPE x gauge\\\\nx{y=\\"\\\\');
});

test('without a mount there is still the number of mounts', () => {
  expect(prometheusText([]).split('\n')).toHaveLength(3 + 6);
});

/** Names, each with its type. */
function metricsOf(text: string): Map<string, string> {
  return new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]));
}

const withAll = prometheusText([
  mount('/mnt/cr', { daemon: { ...daemon, remote, key: { ...daemon.key, secondsLeft: 9, slot: 1 } } }),
]);

test('names end with what is counted, in base units', () => {
  const metrics = metricsOf(withAll);
  expect(metrics.size).toBeGreaterThan(13);
  for (const [name, type] of metrics) {
    const [unit] = /(seconds|bytes)/.exec(name) ?? [''];
    expect(name).toMatch(new RegExp(`^ckptfs_[a-z_]+${unit}${type === 'counter' ? '_total' : ''}$`));
    expect(name).not.toMatch(type === 'counter' ? /^$/ : /_total$/);
  }
});

test('the rules of the documents are about metrics that there are', () => {
  const rules = readFileSync(new URL('../../../../docs/prometheus/ckptfs.rules.yml', import.meta.url), 'utf8');
  const used = new Set(rules.match(/\bckptfs_[a-z_]+\b(?!:)/g));
  expect(used.size).toBeGreaterThan(4);
  for (const name of used) expect(metricsOf(withAll).has(name), name).toBe(true);
});
