import { Deadline } from '../../base/deadline.ts';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { isScratch, type MountInfo, mountIdAt, readMounts, readMountsSync } from '../../fuse/mount/mountinfo.ts';
import { ask as askMount } from '../../fuse/mount/reachable.ts';
import { isOwn, ownerOf } from '../mounts/own-mounts.ts';
import { type StateDirectory, withStateDirectories } from '../mounts/state-directory.ts';
import { callDaemon } from './control-client.ts';
import type { DaemonStatus } from './control-messages.ts';
import { type ControlName, controlNames } from './control-names.ts';

/**
 * - `serving`: mounted here, and its daemon answers.
 * - `sealing`: unmounted; its daemon seals what was written, and then ends.
 * - `elsewhere`: its daemon answers, but the mount is not visible to this process: it was detached lazily, or is in
 *   another namespace.
 * - `silent`: mounted here, and its daemon exists but does not answer: it is stopped or frozen, or the host is very
 *   busy. Or the daemon has no socket where this process looks: its state directory was emptied, or is another one in
 *   this namespace.
 * - `dead`: mounted here, and the kernel says that no process serves it: its daemon was killed. `ckptfs umount` clears
 *   it.
 * - `unknown`: mounted here by another user, whose daemons this process may not ask.
 */
export type MountState = 'serving' | 'sealing' | 'elsewhere' | 'silent' | 'dead' | 'unknown';

export interface MountStatus {
  readonly state: MountState;
  readonly mountPoint: string;
  /** `MAJOR:MINOR`. */
  readonly device: string;
  readonly scratch: boolean;
  /** The path of the image if the daemon answers; otherwise the source in the mount table. */
  readonly source: string;
  /** The daemon's pid in this process's pid namespace; null when it is not visible there or not known. */
  readonly pid: number | null;
  /** Defined for `serving`, `sealing` and `elsewhere`. */
  readonly daemon: DaemonStatus | undefined;
}

/** How long all daemons together have to answer. */
const ANSWER_MILLISECONDS = 5000;
/** How many mounts without a daemon are checked for being dead: another user may have made any number. */
const MAX_ASKED = 64;

/**
 * Lists the ckptfs mounts on this host that this user can see. Never touches a mount itself; for mounts whose daemon
 * does not answer a child process does.
 */
export async function listMounts(): Promise<MountStatus[]> {
  const claims = await withStateDirectories(claimsIn);
  const answered = claims.filter(hasAnswered);
  // While a daemon seals, another mount may already have its device number.
  const serving = answered.filter(({ status }) => status.state === 'serving');
  const sealing = answered.filter(({ status }) => status.state === 'sealing');
  const silent = claims.filter(({ status }) => status === undefined);
  const mounts = (await readMounts()).filter(isOwn);
  const ended = await endedAmong(mounts.filter((mount) => claimOf(mount, [...serving, ...silent]) === undefined));
  return [
    ...mounts.map((mount) => statusOf(mount, claimOf(mount, serving), claimOf(mount, silent), ended.has(mount.id))),
    ...elsewhere(serving, new Set(mounts.map(({ device }) => device))).map((one) => unmounted('elsewhere', one)),
    ...sealing.map((one) => unmounted('sealing', one)),
  ];
}

/**
 * Checks that there are mounts, and that each of them has a daemon that answers. One whose keys are wiped counts as
 * served: it was locked on purpose, and would be opened again by a program that restarts what does not answer.
 * @param where what the error says where there are no mounts: `/mnt/cr is not a mount of ckptfs`
 * @throws CkptfsError `not-mounted`: there are none, or no process serves one; `no-answer`
 */
export function checkServed(mounts: readonly MountStatus[], where: string): void {
  const visible = mounts.filter(({ state }) => state !== 'elsewhere' && state !== 'sealing');
  if (visible.length === 0) throw new CkptfsError('not-mounted', where);
  const [failed] = visible.filter(({ state }) => state !== 'serving');
  if (failed === undefined) return;
  const { state, mountPoint: path, source } = failed;
  if (state === 'dead') {
    throw new CkptfsError('not-mounted', `no process serves the mount on ${path}: its daemon was killed`, { path });
  }
  if (state === 'unknown') throw new CkptfsError('not-mounted', `${path} is not a mount of this user`, { path });
  throw new CkptfsError('no-answer', `the mount of ${source} on ${path} does not answer`, {
    path,
    data: { reason: 'mount' },
  });
}

/**
 * Checks that a directory leads to one of its mounts: another one may have been made on top, there or on a directory
 * above, and what is written goes there.
 * @param mountPoint was reached
 * @throws CkptfsError `not-mounted`; `io` when the directory cannot be opened
 */
export function checkInSight(mounts: readonly MountStatus[], mountPoint: string): void {
  const seen = mountAt(mountPoint);
  if (mounts.some(({ device }) => device === seen?.device)) return;
  const what = seen === undefined ? 'something' : `a mount of type ${seen.fsType}`;
  throw new CkptfsError('not-mounted', `${mountPoint} leads to ${what}, which hides the mount of ckptfs`, {
    path: mountPoint,
  });
}

function mountAt(path: string): MountInfo | undefined {
  try {
    const id = mountIdAt(path);
    return readMountsSync().find((mount) => mount.id === id);
  } catch (cause) {
    throw ioError('open', path, cause);
  }
}

/**
 * A process that listens at a socket, with its answer or, until it answers, only the device that the socket is named
 * by.
 */
interface Claim {
  /** The user id, as the kernel says. */
  readonly owner: number;
  readonly pid: number | null;
  readonly device: string;
  /** Undefined if it did not answer. */
  readonly status: DaemonStatus | undefined;
}

interface Answer extends Claim {
  readonly status: DaemonStatus;
}

function hasAnswered(claim: Claim): claim is Answer {
  return claim.status !== undefined;
}

/** Only the owner tells a daemon from another user's program that names the same device. */
function claimOf<T extends Claim>(mount: MountInfo, claims: readonly T[]): T | undefined {
  return claims.find(({ device, owner }) => device === mount.device && owner === ownerOf(mount));
}

/** Returns the ids of the mounts that, as the kernel says, no process serves any more. */
async function endedAmong(mounts: readonly MountInfo[]): Promise<ReadonlySet<number>> {
  const deadline = Deadline.after(ANSWER_MILLISECONDS);
  const asked = mounts.filter(mayAskDaemonOf).slice(0, MAX_ASKED);
  const answers = await Promise.all(asked.map((mount) => askMount(mount, deadline, { asOwner: true })));
  return new Set(asked.filter((_, at) => answers[at] === 'ended').map(({ id }) => id));
}

function statusOf(
  mount: MountInfo,
  serving: Answer | undefined,
  silent: Claim | undefined,
  hasEnded: boolean,
): MountStatus {
  const { mountPoint, device, source } = mount;
  const others = mayAskDaemonOf(mount) ? 'silent' : 'unknown';
  const common = { mountPoint, device, scratch: isScratch(mount) };
  if (serving === undefined) {
    const pid = silent?.pid ?? null;
    return {
      state: hasEnded ? 'dead' : silent === undefined ? others : 'silent',
      ...common,
      source,
      pid,
      daemon: undefined,
    };
  }
  const { pid, status: daemon } = serving;
  return { state: 'serving', ...common, source: daemon.location, pid, daemon };
}

function unmounted(state: 'elsewhere' | 'sealing', { pid, status: daemon }: Answer): MountStatus {
  const { mountPoint, device, scratch, location: source } = daemon;
  return { state, mountPoint, device, scratch, source, pid, daemon };
}

/** Returns, for each device that no mount here has, the first daemon that answers for it; root's before others'. */
function elsewhere(claims: readonly Answer[], visible: ReadonlySet<string>): Answer[] {
  const found = new Map<string, Answer>();
  for (const claim of [...claims].sort((a, b) => Number(b.owner === 0) - Number(a.owner === 0))) {
    if (!visible.has(claim.device) && !found.has(claim.device)) found.set(claim.device, claim);
  }
  return [...found.values()];
}

function mayAskDaemonOf(mount: MountInfo): boolean {
  const user = process.geteuid?.() ?? 0;
  return user === 0 || ownerOf(mount) === user;
}

/**
 * Asks all daemons at the same time. This user's own come first, so that the sockets of other users, of which there may
 * be many, cannot use up the descriptors for them.
 */
async function claimsIn(directories: readonly StateDirectory[]): Promise<Claim[]> {
  const deadline = Deadline.after(ANSWER_MILLISECONDS);
  const asked = directories.flatMap(({ directory, owner }) =>
    controlNames(directory).map((name) => ask(name, owner, deadline)),
  );
  return (await Promise.all(asked)).flat();
}

async function ask(name: ControlName, owner: number, deadline: Deadline, isRepeated = false): Promise<Claim[]> {
  const { device } = name;
  const call = callDaemon(name, owner);
  if (call === 'dead' || call === 'stranger') return [];
  if (call === 'silent') return [{ owner, pid: null, device, status: undefined }];
  const pid = call.peer.pid === 0 ? null : call.peer.pid;
  try {
    const status = await call.status(deadline);
    // Only a daemon that says itself that it serves this device counts.
    if (status !== undefined) return status.device === device ? [{ owner, pid, device, status }] : [];
    // It has ended meanwhile, or it has too many callers: a second call shows which.
    if (!isRepeated && (await call.ended(Deadline.after(0)))) return ask(name, owner, deadline, true);
    return [{ owner, pid, device, status }];
  } finally {
    call.close();
  }
}
