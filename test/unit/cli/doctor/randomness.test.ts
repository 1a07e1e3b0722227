import { expect, test } from 'vitest';
import { randomnessFindings } from '../../../../src/cli/doctor/randomness.ts';
import { host } from './described-host.ts';

const pool = { '/proc/sys/kernel/random/entropy_avail': '256\n' };

test.each([
  [{ '/proc/cpuinfo': 'flags\t\t: fpu rdrand rdseed\n' }, 'RDRAND, RDSEED'],
  [{ '/proc/cpuinfo': 'Features\t: fp asimd rng\n' }, 'RNDR'],
  [{ '/sys/class/misc/hw_random/rng_current': 'virtio_rng.0\n' }, 'the device virtio_rng.0'],
])('the sources of %j are told', (files, sources) => {
  expect(randomnessFindings(host({ files: { ...files, ...pool } }))).toEqual([
    {
      level: 'ok',
      subject: 'random numbers',
      found: `from the kernel, whose generator is seeded (256 bits); fed by ${sources}`,
    },
  ]);
});

test('a machine that has neither instructions nor a device for them is a warning', () => {
  const files = { ...pool, '/proc/cpuinfo': 'flags : fpu\n', '/sys/class/misc/hw_random/rng_current': 'none\n' };
  const idle = { ...files, '/sys/class/misc/hw_random/rng_available': 'tpm-rng-0 \n' };
  expect(randomnessFindings(host({ files: idle }))).toMatchObject([
    { level: 'warn', advice: 'as root: echo tpm-rng-0 > /sys/class/misc/hw_random/rng_current' },
  ]);
  for (const poor of [host({ files }), host({})]) expect(randomnessFindings(poor)).toMatchObject([{ level: 'warn' }]);
});
