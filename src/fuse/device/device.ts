import { bind, Region } from '../../base/linux/native.ts';
import { CLONES_DEVICE } from '../../base/tuning.ts';

/** Opens descriptors of /dev/fuse for one mount (include/uapi/linux/fuse.h). */

const open = bind('open', 'int', ['str', 'int']);
const close = bind('close', 'int', ['int']);
const ioctl = bind('ioctl', 'int', ['int', 'ulong', 'uintptr_t']);

const O_RDWR = 0o2;
const O_NONBLOCK = 0o4000;
const O_CLOEXEC = 0o2000000;

/** _IOR(229, 0, uint32_t) */
const FUSE_DEV_IOC_CLONE = 0x8004e500;

/**
 * One thread's descriptors of a mount. A request is answered through the descriptor it came from. Reading `polling`
 * never waits; it is undefined where the device cannot be opened a second time (an ordinary user without access to it).
 */
interface DeviceDescriptors {
  readonly waiting: number;
  readonly polling: number | undefined;
}

/**
 * Opens descriptors for this thread, so that threads do not contend for one queue of unanswered requests. Uses `fd`
 * itself where that is not possible.
 */
export function cloneDevice(fd: number): DeviceDescriptors {
  return CLONES_DEVICE
    ? { waiting: clone(fd, 0) ?? fd, polling: clone(fd, O_NONBLOCK) }
    : { waiting: fd, polling: undefined };
}

/** Closes what {@link cloneDevice} opened. */
export function closeClones({ waiting, polling }: DeviceDescriptors, fd: number): void {
  if (waiting !== fd) close(waiting);
  if (polling !== undefined) close(polling);
}

function clone(fd: number, flags: number): number | undefined {
  const made = open('/dev/fuse', O_RDWR | O_CLOEXEC | flags);
  if (made < 0) return undefined;
  const source = new Region(4);
  source.view.setUint32(0, fd, true);
  if (ioctl(made, FUSE_DEV_IOC_CLONE, source.address) === 0) return made;
  close(made);
  return undefined;
}
