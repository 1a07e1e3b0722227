import { expect, test } from 'vitest';
import { criuFindings } from '../../../../src/cli/doctor/criu.ts';
import { machineFindings } from '../../../../src/cli/doctor/machine.ts';
import { mountingFindings } from '../../../../src/cli/doctor/mounting.ts';
import { programFindings } from '../../../../src/cli/doctor/programs.ts';
import { host } from './described-host.ts';

test('every finding that is not ok has advice', async () => {
  const findings = [
    ...mountingFindings(host({ isRoot: false })),
    ...programFindings('v18.0.0', 'node', undefined, []),
    ...(await criuFindings(host({}), undefined)),
    ...machineFindings(host({})),
  ];
  for (const { level: found, advice } of findings) if (found !== 'ok') expect(advice).toMatch(/\w{3}/);
});
