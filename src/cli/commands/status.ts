import type { Argv } from 'yargs';
import { printable } from '../../base/printable.ts';
import { reach } from '../../fuse/mount/reachable.ts';
import type { LeaseStatus, RemoteStatus } from '../../serve/control/control-messages.ts';
import { checkInSight, checkServed, listMounts, type MountStatus } from '../../serve/control/status.ts';
import { type CommonOptions, defineCommand } from '../command.ts';
import { withJson } from '../options/options.ts';
import { table } from '../terminal/listing.ts';
import { print, printJson } from '../terminal/output.ts';
import { prometheusText } from '../terminal/prometheus.ts';
import { formatBytes, formatDuration } from '../terminal/quantities.ts';

const heading = ['MOUNT', 'STATE', 'IMAGE', 'PID', 'WORKERS', 'UP', 'REQUESTS', 'SERVED', 'CACHE HITS', 'FAILURES'];
const numbers = [3, 4, 5, 6, 7, 8, 9];

export const command = defineCommand({
  examples: [
    ['$0 status', 'As a table; FAILURES counts what did not authenticate'],
    ['$0 status --json', 'With all counters, for a program to read'],
    ['$0 status mnt --check', 'For a health check: exit code 0 where a daemon answers for the mount'],
    ['$0 status --prometheus > ckptfs.prom.new && mv ckptfs.prom.new ckptfs.prom', 'For its textfile collector'],
  ],
  options: (yargs: Argv<CommonOptions>) =>
    withJson(yargs)
      .positional('MNT', { type: 'string', describe: 'Directory of the only mount that is shown' })
      .option('check', {
        type: 'boolean',
        default: false,
        describe: 'Fail unless something is mounted, and a daemon answers for each mount',
      })
      .option('prometheus', {
        type: 'boolean',
        default: false,
        describe: 'Print metrics in the text format of Prometheus',
      })
      .check(({ json, prometheus }) => (json && prometheus ? '--prometheus prints metrics, and no JSON' : true)),
  async run({ MNT, check, ...format }) {
    const only = MNT === undefined ? undefined : (await reach(MNT)).path;
    const mounts = (await listMounts()).filter(({ mountPoint }) => only === undefined || mountPoint === only);
    await show(mounts, format);
    if (!check) return;
    checkServed(mounts, only === undefined ? 'nothing is mounted' : `${only} is not a mount of ckptfs`);
    if (only !== undefined) checkInSight(mounts, only);
  },
});

interface Format {
  readonly json: boolean;
  readonly prometheus: boolean;
  readonly quiet: boolean;
}

async function show(mounts: readonly MountStatus[], { json, prometheus, quiet }: Format): Promise<void> {
  if (prometheus) return print(prometheusText(mounts));
  if (json) return printJson(mounts.map(mountJson));
  if (mounts.length > 0) return print(table([heading, ...mounts.map(row)], numbers));
  if (!quiet) await print('nothing is mounted\n');
}

/** Leaves out what the daemon says of itself that the mount has as well. */
function mountJson({ daemon, ...mount }: MountStatus): unknown {
  if (daemon === undefined) return mount;
  const { state, mountPoint, device, scratch, location, ...rest } = daemon;
  return { ...mount, daemon: rest };
}

function row({ mountPoint, state, source, pid, daemon }: MountStatus): string[] {
  const place = [printable(mountPoint), shownState(state, daemon), printable(source)];
  if (daemon === undefined) return [...place, `${pid ?? '-'}`, '-', '-', '-', '-', '-', '-'];
  const { counters, workers, uptimeSeconds } = daemon;
  return [
    ...place,
    // A daemon that answers but has no pid here is in another pid namespace.
    `${pid ?? 'hidden'}`,
    `${workers}`,
    formatDuration(uptimeSeconds),
    `${counters.requests}`,
    formatBytes(counters.bytesServed),
    hitRate(counters.cacheHits, counters.cacheMisses),
    `${counters.authenticationFailures}`,
  ];
}

/** Returns the state for people, with what its key will do. */
function shownState(state: string, daemon: MountStatus['daemon']): string {
  const { locked = false, secondsLeft, lease } = daemon?.key ?? {};
  if (locked) return lease?.state === 'revoked' ? 'locked, key revoked' : 'locked';
  const until = secondsLeft === undefined ? '' : `, locks in ${formatDuration(secondsLeft)}`;
  const kind = daemon?.ephemeral === true ? ', ephemeral' : '';
  return `${state}${kind}${shownFetches(daemon?.remote)}${until}${shownLease(lease)}`;
}

function shownFetches(remote: RemoteStatus | undefined): string {
  if (remote === undefined) return '';
  const { counters } = remote;
  return counters === undefined ? ', fetches nothing any more' : `, fetched ${formatBytes(counters.fetchedBytes)}`;
}

function shownLease(lease: LeaseStatus | undefined): string {
  if (lease === undefined || lease.state === 'ended') return '';
  if (lease.state === 'held') return `, lease for ${formatDuration(lease.secondsLeft)}`;
  return lease.state === 'expired' ? ', lease expired' : ', key revoked';
}

function hitRate(hits: number, misses: number): string {
  return hits + misses === 0 ? '-' : `${Math.round((hits / (hits + misses)) * 100)} %`;
}
