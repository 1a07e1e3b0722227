import { printable } from '../../base/printable.ts';
import type { MountState, MountStatus } from '../../serve/control/status.ts';

/** The text format of Prometheus, version 0.0.4: what its documentation calls the text-based exposition format. */

interface Metric {
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

const states: readonly MountState[] = ['serving', 'sealing', 'elsewhere', 'silent', 'dead', 'unknown'];

/** A number that a daemon says of its mount; undefined for one that it does not have. */
interface OfMount extends Metric {
  readonly value: (daemon: NonNullable<MountStatus['daemon']>) => number | undefined;
}

const ofMounts: readonly OfMount[] = [
  gauge('uptime_seconds', 'How long the daemon of the mount runs.', ({ uptimeSeconds }) => uptimeSeconds),
  gauge('locked', 'Whether the keys of the mount are wiped.', ({ key }) => +key.locked),
  gauge('key_remaining_seconds', 'Until the mount locks itself.', ({ key }) => key.secondsLeft),
  gauge('lease_remaining_seconds', 'Until the lease of the key is over.', ({ key }) => key.lease?.secondsLeft),
  gauge(
    'lease_revoked',
    'Whether the key may not be used any more.',
    ({ key }) => key.lease && +(key.lease.state === 'revoked'),
  ),
  counter('requests_total', 'Requests of the kernel.', ({ counters }) => counters.requests),
  counter('served_bytes_total', 'Plaintext served.', ({ counters }) => counters.bytesServed),
  counter(
    'served_ahead_bytes_total',
    'Plaintext that was decrypted before it was asked for.',
    ({ counters }) => counters.bytesServedAhead,
  ),
  counter('stored_read_bytes_total', 'Read from the storage.', ({ counters }) => counters.storedBytesRead),
  counter('cache_hits_total', 'Tag pages that were verified before.', ({ counters }) => counters.cacheHits),
  counter('cache_misses_total', 'Tag pages that were read.', ({ counters }) => counters.cacheMisses),
  counter(
    'authentication_failures_total',
    'Reads of the storage that did not authenticate.',
    ({ counters }) => counters.authenticationFailures,
  ),
  counter('fetched_bytes_total', 'Fetched from a remote store.', ({ remote }) => remote?.counters?.fetchedBytes),
  counter('fetches_total', 'Requests to a remote store.', ({ remote }) => remote?.counters?.requests),
  counter('fetch_failures_total', 'Requests to it that failed.', ({ remote }) => remote?.counters?.failures),
];

/** Returns what `status` knows as metrics. The labels `mount_point` and `device` name a mount in all of them. */
export function prometheusText(mounts: readonly MountStatus[]): string {
  const count = (state: MountState): number => mounts.filter((mount) => mount.state === state).length;
  return [
    metricText(
      { name: 'ckptfs_mounts', type: 'gauge', help: 'Mounts of this host by state.' },
      states.map((state) => [{ state }, count(state)]),
    ),
    metricText(
      { name: 'ckptfs_mount_info', type: 'gauge', help: 'What each mount is.' },
      mounts.map((mount) => [{ ...nameOf(mount), ...factsOf(mount) }, 1]),
    ),
    ...ofMounts.map((metric) => metricText(metric, samplesOf(metric, mounts))),
  ].join('');
}

function samplesOf({ value }: OfMount, mounts: readonly MountStatus[]): Sample[] {
  return mounts.flatMap((mount): Sample[] => {
    const found = mount.daemon && value(mount.daemon);
    return found === undefined ? [] : [[nameOf(mount), found]];
  });
}

function nameOf({ mountPoint, device }: MountStatus) {
  return { mount_point: printable(mountPoint), device };
}

function factsOf({ state, source, daemon }: MountStatus): Readonly<Record<string, string>> {
  const facts = { state, image: printable(source) };
  if (daemon === undefined) return facts;
  const { imageId, transport, write, format = 'ckptfs' } = daemon;
  return { ...facts, image_id: imageId, transport, write: `${write}`, format };
}

function metricText({ name, type, help }: Metric, samples: readonly Sample[]): string {
  if (samples.length === 0) return '';
  const lines = samples.map(([labels, value]) => `${name}{${labelsText(labels)}} ${value}\n`);
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const escaped = (text: string): string => text.replace(/["\\]/g, '\\$&');
  return Object.entries(labels)
    .map(([name, text]) => `${name}="${escaped(text)}"`)
    .join(',');
}

function gauge(name: string, help: string, value: OfMount['value']): OfMount {
  return { name: `ckptfs_mount_${name}`, type: 'gauge', help, value };
}

function counter(name: string, help: string, value: OfMount['value']): OfMount {
  return { name: `ckptfs_mount_${name}`, type: 'counter', help, value };
}
