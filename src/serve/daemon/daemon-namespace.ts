import { closeSync, readlinkSync } from 'node:fs';
import { unmountPath } from '../../base/linux/mounts.ts';
import { changeRoot } from '../../base/linux/namespaces.ts';
import { namesIn } from '../../base/listing.ts';
import { type MountInfo, readMounts, readMountsSync, topmostAt } from '../../fuse/mount/mountinfo.ts';
import { CALLER_NAMESPACE_FD, CALLER_ROOT_FD } from '../handover/descriptors.ts';
import { MountNamespace } from '../mounts/mount-namespace.ts';

/** A mount as a daemon knows it. */
interface OwnMount {
  readonly mountPoint: string;
  readonly device: string;
}

/**
 * Where a daemon does what has to be done in the mount namespace of its mount. Either that is its own namespace, or the daemon was started
 * apart (apart-launch.ts): then its own has no mounts but its root, its paths lead through those of the caller, whose namespace it holds
 * only until the mount is made, and its first thread alone ever enters another one.
 */
export class DaemonNamespace {
  readonly #apart: Apart | undefined;
  /** One thing after the other, as there is one thread for them. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(apart: Apart | undefined) {
    this.#apart = apart;
  }

  /** Looks where this process was started, and lets all mounts go that its own namespace was given. @throws Error */
  static enter(): DaemonNamespace {
    const callers = linkTarget(`/proc/self/fd/${CALLER_NAMESPACE_FD}`);
    if (callers === undefined || !isNamespace(callers)) return new DaemonNamespace(undefined);
    if (callers === linkTarget('/proc/self/ns/mnt')) {
      for (const fd of [CALLER_NAMESPACE_FD, CALLER_ROOT_FD]) closeSync(fd);
      return new DaemonNamespace(undefined);
    }
    detachMounts();
    changeRoot(CALLER_ROOT_FD);
    const caller = MountNamespace.fromDescriptors(CALLER_NAMESPACE_FD, CALLER_ROOT_FD);
    return new DaemonNamespace({ own: MountNamespace.ofThisThread(), caller, callerName: callers });
  }

  /** Runs something short, before any thread is started, in the caller's namespace. */
  runInCallers<T>(work: () => T): T {
    return this.#apart === undefined ? work() : this.#apart.caller.run(this.#apart.own, work);
  }

  /** Runs what makes the mount, in the caller's namespace, and holds that no longer afterwards. Starts no thread meanwhile. Once. */
  makeMount<T>(work: () => Promise<T>): Promise<T> {
    const apart = this.#apart;
    if (apart === undefined) return work();
    return this.#inTurn(() => apart.caller.runAsync(apart.own, work).finally(() => apart.caller.close()));
  }

  /**
   * Runs something with a mount of this daemon in a namespace that has it: the caller's, if any process is still there.
   * @returns whether the mount was found
   */
  withMount(mount: OwnMount, work: (found: MountInfo) => Promise<void>): Promise<boolean> {
    const apart = this.#apart;
    if (apart === undefined) return workAtMount(mount, work);
    return this.#inTurn(async () => {
      const namespace = namespaceWith(mount.device, apart.callerName);
      if (namespace === undefined) return false;
      try {
        return await namespace.runAsync(apart.own, () => workAtMount(mount, work));
      } finally {
        namespace.close();
      }
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}

interface Apart {
  readonly own: MountNamespace;
  readonly caller: MountNamespace;
  /** As a link below /proc names it. Another namespace may get the same name once it has ended. */
  readonly callerName: string;
}

async function workAtMount(mount: OwnMount, work: (found: MountInfo) => Promise<void>): Promise<boolean> {
  const found = topmostAt(await readMounts(), mount.mountPoint);
  if (found?.device !== mount.device) return false;
  await work(found);
  return true;
}

/** The namespace of some process that has a device mounted, as far as processes are seen here. */
function namespaceWith(device: string, preferred: string): MountNamespace | undefined {
  for (const pid of membersOfEach(preferred)) {
    if (!hasMounted(pid, device)) continue;
    try {
      return MountNamespace.ofProcess(pid);
    } catch {
      // It has ended meanwhile, perhaps with its namespace.
    }
  }
  return undefined;
}

/** One process of each mount namespace, and of each root directory in it, as far as this process may look; those of `preferred` first. */
function membersOfEach(preferred: string): number[] {
  const [first, others] = [new Map<string, number>(), new Map<string, number>()];
  for (const name of namesIn('/proc')) {
    const namespace = /^[0-9]+$/.test(name) ? linkTarget(`/proc/${name}/ns/mnt`) : undefined;
    if (namespace === undefined) continue;
    const members = namespace === preferred ? first : others;
    const place = `${namespace} ${linkTarget(`/proc/${name}/root`)}`;
    if (!members.has(place)) members.set(place, Number(name));
  }
  return [...first.values(), ...others.values()];
}

function hasMounted(pid: number, device: string): boolean {
  try {
    return readMountsSync(pid).some((mount) => mount.device === device);
  } catch {
    return false;
  }
}

/** Lets go what this namespace has mounted but its root, so that it keeps nothing from being unmounted elsewhere, nor other daemons at work. */
function detachMounts(): void {
  for (const { mountPoint } of readMountsSync()) {
    try {
      if (mountPoint !== '/') unmountPath(mountPoint, true);
    } catch {
      // It has gone with one above it; or it is locked, in the namespace of an ordinary user.
    }
  }
}

function isNamespace(target: string): boolean {
  return target.startsWith('mnt:[');
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
