import { constants as fsConstants, openSync, readFileSync } from 'node:fs';
import { mountNamespaceMayEnd } from '../../base/linux/namespaces.ts';
import { O_PATH } from '../../base/linux/open-flags.ts';
import { readMountsSync } from '../../fuse/mount/mountinfo.ts';

/**
 * Starts a daemon apart from the mount namespace of its caller. A namespace and its mounts live as long as a thread is
 * in it: a daemon in it would keep its own mount for ever, and its image would never be sealed. If it is the namespace
 * of the first process, which lives as long as the host or the container, the daemon may be in it as well.
 */

/** From linux/capability.h. A process needs both to enter another mount namespace. */
const CAP_SYS_CHROOT = 18n;
const CAP_SYS_ADMIN = 21n;

/**
 * A shell command that starts a program in a mount namespace of its own, or, where that cannot be made (seccomp(2), no
 * program unshare), in the caller's. All threads of a process have to be in it, so it is made before Node starts.
 */
const START_APART =
  'unshare --mount --propagation private true 2>/dev/null && exec unshare --mount --propagation private "$@"; exec "$@"';

/** Descriptors of the caller that a daemon apart needs: of its mount namespace and of its root directory. */
export interface CallerPlace {
  readonly namespace: number;
  readonly root: number;
}

/**
 * Returns the place of this process if a daemon should be started apart from it; undefined if it should not, or cannot.
 * The caller closes both descriptors.
 */
export function placeToBeApartFrom(): CallerPlace | undefined {
  try {
    if (process.geteuid?.() !== 0 || !mountNamespaceMayEnd() || !mayChangeNamespace()) return undefined;
    const namespace = openSync('/proc/self/ns/mnt', fsConstants.O_RDONLY);
    return { namespace, root: openSync('/', O_PATH) };
  } catch {
    // Without /proc there is no way back into the namespace.
    return undefined;
  }
}

/** Returns the program and arguments that start another program apart. */
export function apartCommand(program: string, args: readonly string[]): [string, string[]] {
  return ['/bin/sh', ['-c', START_APART, 'sh', program, ...args]];
}

function mayChangeNamespace(): boolean {
  const text = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  const effective = BigInt(`0x${text}`);
  const has = (capability: bigint): boolean => ((effective >> capability) & 1n) === 1n;
  // In a chroot(2) that is no mount point, the mounts outside of it are not visible, and so cannot be detached.
  return has(CAP_SYS_ADMIN) && has(CAP_SYS_CHROOT) && readMountsSync().some(({ mountPoint }) => mountPoint === '/');
}
