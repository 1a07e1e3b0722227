import { closeSync, readlinkSync } from 'node:fs';
import { unmountPath } from '../../base/linux/mounts.ts';
import { changeRoot } from '../../base/linux/namespaces.ts';
import { namesIn } from '../../base/listing.ts';
import { type MountInfo, readMounts, readMountsSync, topmostAt } from '../../fuse/mount/mountinfo.ts';
import { CALLER_NAMESPACE_FD, CALLER_ROOT_FD } from '../handover/descriptors.ts';
import { MountNamespace } from '../mounts/mount-namespace.ts';

/** What a daemon knows of its mount. */
interface OwnMount {
  readonly mountPoint: string;
  readonly device: string;
}

/**
 * Does what a daemon has to do in the mount namespace of its mount. Either that is the daemon's own namespace, or the
 * daemon was started apart (apart-launch.ts). Then its own namespace has no mount but the root, which is the caller's;
 * it holds the caller's namespace only until the mount is made, and only its first thread ever enters another one.
 */
export class DaemonNamespace {
  readonly #apart: Apart | undefined;
  /** The last of the tasks, which run one after the other because there is one thread for them. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(apart: Apart | undefined) {
    this.#apart = apart;
  }

  /** Finds out where this process was started, and detaches all mounts that its own namespace got. @throws Error */
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

  /** For a daemon that is in the namespace of its caller. */
  static ofCaller(): DaemonNamespace {
    return new DaemonNamespace(undefined);
  }

  /** Runs something short in the caller's namespace. Must be called before any thread is started. */
  runInCallers<T>(work: () => T): T {
    return this.#apart === undefined ? work() : this.#apart.caller.run(this.#apart.own, work);
  }

  /**
   * Runs `work`, which makes the mount, in the caller's namespace, and then stops holding that namespace. May be called
   * once; `work` must start no thread.
   */
  makeMount<T>(work: () => Promise<T>): Promise<T> {
    const apart = this.#apart;
    if (apart === undefined) return work();
    return this.#inTurn(() => apart.caller.runAsync(apart.own, work).finally(() => apart.caller.close()));
  }

  /**
   * Runs `work` with a mount of this daemon, in a namespace that has it: the caller's, if a process is still there.
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
  /** Its name in links below /proc. Another namespace may get the same name after this one has ended. */
  readonly callerName: string;
}

async function workAtMount(mount: OwnMount, work: (found: MountInfo) => Promise<void>): Promise<boolean> {
  const found = topmostAt(await readMounts(), mount.mountPoint);
  if (found?.device !== mount.device) return false;
  await work(found);
  return true;
}

/** Returns the namespace of a visible process that has a device mounted. */
function namespaceWith(device: string, preferred: string): MountNamespace | undefined {
  for (const pid of membersOfEach(preferred)) {
    if (!hasMounted(pid, device)) continue;
    try {
      return MountNamespace.ofProcess(pid);
    } catch {
      // The process has ended meanwhile, perhaps with its namespace.
    }
  }
  return undefined;
}

/** Returns a visible process of each mount namespace and each root directory in it, those of `preferred` first. */
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

/**
 * Detaches every mount of this namespace but its root. The daemon would otherwise keep file systems from being
 * unmounted elsewhere, and other daemons from ending.
 */
function detachMounts(): void {
  for (const { mountPoint } of readMountsSync()) {
    try {
      if (mountPoint !== '/') unmountPath(mountPoint, true);
    } catch {
      // It went with the mount that it was on, or it is locked, as in the namespace of an ordinary user.
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
