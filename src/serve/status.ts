import { type MountInfo, readMounts } from '../fuse/mountinfo.ts';
import { type ControlName, controlNames, type DaemonStatus } from './control.ts';
import { callDaemon } from './control-client.ts';
import { isOwn, isScratch, ownerOf } from './own-mounts.ts';
import { readableStateDirectories, type StateDirectory } from './state-directory.ts';

/**
 * - `serving`: mounted here, and its daemon answers.
 * - `sealing`: unmounted; its daemon seals what was written, and ends then.
 * - `elsewhere`: its daemon answers, but nothing of it is mounted where this process looks: detached lazily, or in another namespace.
 * - `dead`: mounted here, but no daemon answers: it was killed. `ckptfs umount` clears it.
 * - `unknown`: mounted here by another user, whose daemons this process may not ask.
 */
export type MountState = 'serving' | 'sealing' | 'elsewhere' | 'dead' | 'unknown';

export interface MountStatus {
  readonly state: MountState;
  readonly mountPoint: string;
  /** `MAJOR:MINOR`. */
  readonly device: string;
  readonly scratch: boolean;
  /** What mount tables name as the source; of a daemon that answers, the image. */
  readonly source: string;
  /** Of `serving`, `sealing` and `elsewhere`. */
  readonly daemon: DaemonStatus | undefined;
}

/** The mounts of ours on this host, as far as this user can see them. Never looks at a mount itself. */
export async function listMounts(): Promise<MountStatus[]> {
  const all = await answeringDaemons();
  // The device of one that seals may be another mount's already.
  const claims = all.filter(({ status }) => status.state === 'serving');
  const sealing = all.filter(({ status }) => status.state === 'sealing');
  const mounts = (await readMounts()).filter(isOwn);
  // Nothing but the owner tells a daemon from another user's program that names the same device.
  const daemonOf = (mount: MountInfo): DaemonStatus | undefined =>
    claims.find(({ owner, status }) => status.device === mount.device && owner === ownerOf(mount))?.status;
  return [
    ...mounts.map((mount) => statusOf(mount, daemonOf(mount))),
    ...elsewhere(claims, new Set(mounts.map(({ device }) => device))).map((daemon) => unmounted('elsewhere', daemon)),
    ...sealing.map(({ status }) => unmounted('sealing', status)),
  ];
}

function unmounted(state: 'elsewhere' | 'sealing', daemon: DaemonStatus): MountStatus {
  const { mountPoint, device, scratch, location } = daemon;
  return { state, mountPoint, device, scratch, source: location, daemon };
}

function statusOf(mount: MountInfo, daemon: DaemonStatus | undefined): MountStatus {
  const { mountPoint, device, source } = mount;
  const state = daemon !== undefined ? 'serving' : mayAskDaemonOf(mount) ? 'dead' : 'unknown';
  return { state, mountPoint, device, scratch: isScratch(mount), source: daemon?.location ?? source, daemon };
}

/** What answers for devices that no mount here has: for each the first, but root's rather than anybody's. */
function elsewhere(claims: readonly Claim[], visible: ReadonlySet<string>): DaemonStatus[] {
  const found = new Map<string, DaemonStatus>();
  for (const { status } of [...claims].sort((a, b) => Number(b.owner === 0) - Number(a.owner === 0))) {
    if (!visible.has(status.device) && !found.has(status.device)) found.set(status.device, status);
  }
  return [...found.values()];
}

function mayAskDaemonOf(mount: MountInfo): boolean {
  const user = process.geteuid?.() ?? 0;
  return user === 0 || ownerOf(mount) === user;
}

/** What somebody's program says of a mount. */
interface Claim {
  /** User id. */
  readonly owner: number;
  readonly status: DaemonStatus;
}

/** One directory after the other, so that nobody's sockets use up the descriptors for those of others. */
async function answeringDaemons(): Promise<Claim[]> {
  const claims: Claim[] = [];
  for (const directory of readableStateDirectories()) claims.push(...(await claimsIn(directory)));
  return claims;
}

async function claimsIn({ path, owner }: StateDirectory): Promise<Claim[]> {
  const answers = controlNames(path).map(async (name): Promise<Claim[]> => {
    const status = await ask(name);
    return status === undefined ? [] : [{ owner, status }];
  });
  return (await Promise.all(answers)).flat();
}

/** Only the daemon of a mount that says so itself. */
async function ask({ path, device }: ControlName): Promise<DaemonStatus | undefined> {
  const daemon = await callDaemon(path);
  try {
    const status = await daemon?.status();
    return status?.device === device ? status : undefined;
  } finally {
    daemon?.close();
  }
}
