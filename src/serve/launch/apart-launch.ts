import fs from 'node:fs';
import { O_PATH } from '../../base/linux/open-flags.ts';
import { readMountsSync } from '../../fuse/mount/mountinfo.ts';

/**
 * How a daemon is started apart from the mount namespace of its caller. A namespace lives as long as any thread is in it, and its mounts live as
 * long as it does: a daemon in it would keep its own mount for ever, and an image that is written would never be sealed. Where the namespace
 * is that of the first process, which lives as long as the host or the container, the daemon may just as well be in it.
 */

/** From linux/capability.h. Both are needed to go into another mount namespace. */
const CAP_SYS_CHROOT = 18n;
const CAP_SYS_ADMIN = 21n;

/**
 * All threads of a process have to be apart, so it must be so before it starts. Where the namespace cannot be made (seccomp(2), no program
 * unshare) the daemon starts in the caller's.
 */
const START_APART =
  'unshare --mount --propagation private true 2>/dev/null && exec unshare --mount --propagation private "$@"; exec "$@"';

/** What a daemon apart needs of its caller: descriptors of its mount namespace and of its root directory. */
export interface CallerPlace {
  readonly namespace: number;
  readonly root: number;
}

/** The place of this process, when a daemon should be started apart from it. Close both descriptors. */
export function placeToBeApartFrom(): CallerPlace | undefined {
  try {
    if (process.geteuid?.() !== 0 || !mayEnd() || !mayChangeNamespace()) return undefined;
    const namespace = fs.openSync('/proc/self/ns/mnt', fs.constants.O_RDONLY);
    return { namespace, root: fs.openSync('/', O_PATH) };
  } catch {
    // Without /proc there is no way back into the namespace.
    return undefined;
  }
}

/** The program that starts another one apart, with that one and its arguments. */
export function apartCommand(program: string, args: readonly string[]): [string, string[]] {
  return ['/bin/sh', ['-c', START_APART, 'sh', program, ...args]];
}

/** Whether the mount namespace of this process may end before the first process does. */
function mayEnd(): boolean {
  const own = fs.readlinkSync('/proc/self/ns/mnt');
  try {
    return fs.readlinkSync('/proc/1/ns/mnt') !== own;
  } catch {
    return true;
  }
}

function mayChangeNamespace(): boolean {
  const text = /^CapEff:\s*([0-9a-f]+)$/m.exec(fs.readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  const effective = BigInt(`0x${text}`);
  const has = (capability: bigint): boolean => ((effective >> capability) & 1n) === 1n;
  // In a chroot(2) that is no mount point, the mounts outside of it cannot be told, and so not be let go.
  return has(CAP_SYS_ADMIN) && has(CAP_SYS_CHROOT) && readMountsSync().some(({ mountPoint }) => mountPoint === '/');
}
