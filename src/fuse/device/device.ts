import { constants } from 'node:fs';
import { closeDescriptor } from '../../base/linux/descriptors.ts';
import { controlDevice, openDevice } from '../../base/linux/devices.ts';
import { Region } from '../../base/linux/native.ts';
import { O_CLOEXEC } from '../../base/linux/open-flags.ts';
import { CLONES_DEVICE } from '../../base/tuning.ts';

/** Opens descriptors of /dev/fuse for one mount (include/uapi/linux/fuse.h). */

const { O_NONBLOCK, O_RDWR } = constants;

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
    ? { waiting: clone(fd, 0) ?? fd, polling: openPolling(fd) }
    : { waiting: fd, polling: undefined };
}

/** Opens one more descriptor of a mount, which never waits; undefined where the device cannot be opened again. */
export function openPolling(fd: number): number | undefined {
  return clone(fd, O_NONBLOCK);
}

/** Closes what {@link cloneDevice} opened. */
export function closeClones({ waiting, polling }: DeviceDescriptors, fd: number): void {
  if (waiting !== fd) closeDescriptor(waiting);
  if (polling !== undefined) closeDescriptor(polling);
}

function clone(fd: number, flags: number): number | undefined {
  const made = openDevice('/dev/fuse', O_RDWR | O_CLOEXEC | flags);
  if (made < 0) return undefined;
  const source = new Region(4);
  source.view.setUint32(0, fd, true);
  if (controlDevice(made, FUSE_DEV_IOC_CLONE, source) === 0) return made;
  closeDescriptor(made);
  return undefined;
}
