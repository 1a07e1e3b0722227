import { type Finding, ok, warn } from './check.ts';
import type { Host } from './host.ts';

const POOL = '/proc/sys/kernel/random/entropy_avail';
const HARDWARE = '/sys/class/misc/hw_random';

/** Examines where the kernel, and so ckptfs, has its random numbers from. */
export function randomnessFindings(host: Host): Finding[] {
  return [sources(host)];
}

/** The kernel's generator is seeded here: this program, like every Node, has drawn from it, which waits until it is. */
function sources(host: Host): Finding {
  const subject = 'random numbers';
  const bits = host.readFile(POOL)?.trim() ?? 'an unknown number of';
  const seeded = `from the kernel, whose generator is seeded (${bits} bits)`;
  const found = [...processor(host), ...devices(host)];
  if (found.length > 0) return ok(subject, `${seeded}; fed by ${found.join(', ')}`);
  return warn(
    subject,
    `${seeded}; fed by the timing of interrupts alone: slow on a machine that has just started`,
    idleDevice(host) ??
      'a virtual machine: give it virtio-rng, or a processor type with RDRAND; otherwise a hardware generator',
  );
}

/** Instructions of the processor: RDRAND and RDSEED of x86, RNDR of arm64. */
function processor(host: Host): string[] {
  const info = host.readFile('/proc/cpuinfo') ?? '';
  const flags = new Set(/^(?:flags|Features)\s*:(.*)$/m.exec(info)?.[1]?.split(/\s+/));
  return ['rdrand', 'rdseed', 'rng'].filter((flag) => flags.has(flag)).map((flag) => NAMES[flag] ?? flag);
}

const NAMES: Readonly<Record<string, string>> = { rdrand: 'RDRAND', rdseed: 'RDSEED', rng: 'RNDR' };

/** Advises to use a device that is there, and that the kernel does not read. */
function idleDevice(host: Host): string | undefined {
  const [name] = host.readFile(`${HARDWARE}/rng_available`)?.trim().split(/\s+/).filter(Boolean) ?? [];
  return name === undefined ? undefined : `as root: echo ${name} > ${HARDWARE}/rng_current`;
}

function devices(host: Host): string[] {
  const current = host.readFile(`${HARDWARE}/rng_current`)?.trim() ?? '';
  return current === '' || current === 'none' ? [] : [`the device ${current}`];
}
