import { Deadline } from '../../base/deadline.ts';
import type { MountInfo } from '../../fuse/mount/mountinfo.ts';
import { ownerOf } from '../mounts/own-mounts.ts';
import type { StateDirectory } from '../mounts/state-directory.ts';
import { callDaemon, type DaemonLink, removeStale } from './control-client.ts';
import type { DaemonEvent } from './control-messages.ts';
import { type ControlName, controlNames } from './control-names.ts';
import { isStopped } from './process-state.ts';

/**
 * How waiting for a daemon came to an end: it has ended; it is at work as far as anybody can tell; the kernel keeps it from
 * running; or it is another user's and takes longer than root waits for anybody.
 */
export type DaemonEnd = 'ended' | 'working' | 'stopped' | 'slow';

/** How often a daemon that is waited for is looked at, whether it can go on. */
const LOOK_MILLISECONDS = 1000;
/** So long and no longer waits root for another user's daemon, which may be anything, and pretend to be at work. */
const OTHERS_MILLISECONDS = 30_000;

/** Connections that may end before that is believed of a daemon which still listens. */
const MAX_ENDS = 3;

interface FoundDaemon {
  readonly name: ControlName;
  readonly owner: number;
  readonly link: DaemonLink;
  readonly hasAnswered: boolean;
}

/** The daemon of one mount: a process of the mount's owner, by the kernel's word. */
export class MountDaemon {
  readonly hasAnswered: boolean;
  readonly #name: ControlName;
  readonly #owner: number;
  #link: DaemonLink;
  #ends = 0;
  readonly #begun = Deadline.after(OTHERS_MILLISECONDS);

  private constructor({ name, owner, link, hasAnswered }: FoundDaemon) {
    this.#name = name;
    this.#owner = owner;
    this.#link = link;
    this.hasAnswered = hasAnswered;
  }

  /**
   * Finds what listens for a mount, where its owner's daemons do: in another user's directory a socket may bear any name. Of
   * several the one that says that it serves this device, else one that says nothing; never one that serves another device,
   * or seals for an earlier mount of the same device number. Removes sockets of this user's daemons that are dead.
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

  /** For a message. */
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

  /** Waits for the end of the daemon, until the deadline if there is one, as long as it can go on. */
  async end(deadline?: Deadline): Promise<DaemonEnd> {
    for (let wasStopped = false; ; ) {
      const look = deadline?.orAfter(LOOK_MILLISECONDS) ?? Deadline.after(LOOK_MILLISECONDS);
      if ((await this.#link.ended(look)) && this.#isOver()) return 'ended';
      const stopped = isStopped(this.#link.peer.pid);
      // Twice, for whoever dumps or traces it stops it for a moment.
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

  /** Whether a connection that ended means that the daemon has. One with too many callers ends one as well, but listens. */
  #isOver(): boolean {
    const event = this.lastEvent?.event;
    if (event === 'sealed' || event === 'unsealed' || ++this.#ends > MAX_ENDS) return true;
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
    return [{ name, owner, link, hasAnswered: status !== undefined }];
  }
  link.close();
  return [];
}
