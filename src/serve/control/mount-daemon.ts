import { Deadline } from '../../base/deadline.ts';
import type { MountInfo } from '../../fuse/mount/mountinfo.ts';
import { ownerOf } from '../mounts/own-mounts.ts';
import type { StateDirectory } from '../mounts/state-directory.ts';
import { callDaemon, type DaemonLink, removeStale } from './control-client.ts';
import type { DaemonEvent } from './control-messages.ts';
import { type ControlName, controlNames } from './control-names.ts';
import { isStopped } from './process-state.ts';

/**
 * Why waiting for a daemon stopped: it has ended; it seems to be working; the kernel keeps it from running; or it is
 * another user's and takes longer than root waits for other users.
 */
export type DaemonEnd = 'ended' | 'working' | 'stopped' | 'slow';

/** How often a daemon is checked for being stopped while a command waits for it. */
const LOOK_MILLISECONDS = 1000;
/** How long root waits for another user's daemon, which may be any program that pretends to be working. */
const OTHERS_MILLISECONDS = 30_000;

/** How many connections to a daemon that still listens may end until it is taken to have ended. */
const MAX_ENDS = 3;

interface FoundDaemon {
  readonly name: ControlName;
  readonly owner: number;
  readonly link: DaemonLink;
  readonly hasAnswered: boolean;
  readonly isEphemeral: boolean;
}

/** The daemon of one mount. The kernel says that it is a process of the mount's owner. */
export class MountDaemon {
  readonly hasAnswered: boolean;
  /** Whether it has said that its image is removed with the mount. */
  readonly isEphemeral: boolean;
  readonly #name: ControlName;
  readonly #owner: number;
  #link: DaemonLink;
  #ends = 0;
  readonly #begun = Deadline.after(OTHERS_MILLISECONDS);

  private constructor({ name, owner, link, hasAnswered, isEphemeral }: FoundDaemon) {
    this.#name = name;
    this.#owner = owner;
    this.#link = link;
    this.hasAnswered = hasAnswered;
    this.isEphemeral = isEphemeral;
  }

  /**
   * Finds the process that listens for a mount, in the directories of its owner: in another user's directory a socket
   * may have any name. Of several it takes the one that answers that it serves this device, otherwise one that does not
   * answer. It never takes one that serves another device, or seals for an earlier mount of the same device number.
   * Removes the sockets of this user's dead daemons.
   */
  static async find(
    directories: readonly StateDirectory[],
    found: MountInfo,
    deadline: Deadline,
  ): Promise<MountDaemon | undefined> {
    const owner = ownerOf(found);
    const names = directories.filter((one) => one.owner === owner).flatMap(({ directory }) => controlNames(directory));
    const asked = names.filter(({ device }) => device === found.device).map((name) => ask(name, owner, deadline));
    const candidates = (await Promise.all(asked)).flat();
    const chosen = candidates.find(({ hasAnswered }) => hasAnswered) ?? candidates[0];
    for (const candidate of candidates) if (candidate !== chosen) candidate.link.close();
    return chosen === undefined ? undefined : new MountDaemon(chosen);
  }

  /** Names the daemon in a message. */
  get description(): string {
    const { pid } = this.#link.peer;
    const whose = this.#isOwn ? 'its daemon' : `the daemon of user ${this.#owner}`;
    return pid === 0 ? `${whose} (in another pid namespace)` : `${whose} (pid ${pid})`;
  }

  get lastEvent(): DaemonEvent | undefined {
    return this.#link.lastEvent();
  }

  get isSealing(): boolean {
    return this.lastEvent?.event === 'sealing';
  }

  /** Waits for the end of the daemon while it can run, and until the deadline if there is one. */
  async end(deadline?: Deadline): Promise<DaemonEnd> {
    for (let wasStopped = false; ; ) {
      const look = deadline?.orAfter(LOOK_MILLISECONDS) ?? Deadline.after(LOOK_MILLISECONDS);
      if ((await this.#link.ended(look)) && this.#isOver()) return 'ended';
      const stopped = isStopped(this.#link.peer.pid);
      // Only when found stopped twice, because tools that dump or trace the daemon stop it for a moment.
      if (stopped && wasStopped) return 'stopped';
      wasStopped = stopped;
      if (!this.#isOwn && this.#begun.hasPassed) return 'slow';
      if (deadline?.hasPassed) return stopped ? 'stopped' : 'working';
    }
  }

  close(): void {
    this.#link.close();
  }

  get #isOwn(): boolean {
    return this.#owner === process.geteuid?.();
  }

  /** Returns whether the daemon has ended, when a connection has: with too many callers it closes one, but listens. */
  #isOver(): boolean {
    const event = this.lastEvent?.event;
    if ((event !== undefined && event !== 'sealing') || ++this.#ends > MAX_ENDS) return true;
    const call = callDaemon(this.#name, this.#owner);
    if (typeof call !== 'object' || call.peer.pid !== this.#link.peer.pid) {
      if (typeof call === 'object') call.close();
      return true;
    }
    this.#link.close();
    this.#link = call;
    return false;
  }
}

async function ask(name: ControlName, owner: number, deadline: Deadline): Promise<FoundDaemon[]> {
  const link = callDaemon(name, owner);
  if (link === 'dead' && owner === process.geteuid?.()) removeStale(name);
  if (typeof link !== 'object') return [];
  const status = await link.status(deadline);
  const isOfThisMount = status?.state === 'serving' && status.device === name.device;
  if (status === undefined || isOfThisMount) {
    return [{ name, owner, link, hasAnswered: status !== undefined, isEphemeral: status?.ephemeral ?? false }];
  }
  link.close();
  return [];
}
