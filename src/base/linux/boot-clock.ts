import { bind, Region } from './native.ts';
import { systemError } from './system-error.ts';

/** time.h, and struct timespec on machines of 64 bits. */
const CLOCK_BOOTTIME = 7;
const TIMESPEC = { seconds: 0, nanoseconds: 8, sizeof: 16 } as const;

const clockGettime = bind('clock_gettime', 'int', ['int', 'uintptr_t']);
const now = new Region(TIMESPEC.sizeof);

/**
 * Returns the seconds since the host was started, those included in which it was suspended. No clock of Node is this
 * one for certain: os.uptime() reads /proc/uptime where it can, which containers replace.
 */
export function secondsSinceBoot(): number {
  if (clockGettime(CLOCK_BOOTTIME, now.address) !== 0) throw systemError('clock_gettime');
  const [seconds, nanoseconds] = [TIMESPEC.seconds, TIMESPEC.nanoseconds].map((at) => now.view.getBigInt64(at, true));
  return Number(seconds) + Number(nanoseconds) / 1e9;
}
