import fs from 'node:fs';
import { join } from 'node:path';
import { until } from './mounts.ts';

/** Makes a control group in a hierarchy. Other runs may make some as well, with the same process ids. */
export function makeGroup(hierarchy: string): string {
  return fs.mkdtempSync(join(hierarchy, 'ckptfs-test-'));
}

/** Removes a control group. A process leaves its group late in its end, after its mounts and descriptors are gone. */
export async function removeGroup(group: string): Promise<void> {
  await until(`${group} is empty`, () => {
    try {
      fs.rmdirSync(group);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EBUSY') return false;
      throw error;
    }
  });
}
