import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const root = import.meta.dirname;
const units = readdirSync(join(root, 'test/unit'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts'))
  .map((name) => join('test/unit', name));
/** Those that mock modules, or change or measure the process that they run in, or need descriptors of low numbers. */
const alone = units.filter((file) =>
  /\bvi\.mock\(|\bprocess\.(env\[|emit|memoryUsage)|prlimit|\bmakePipe\(/.test(readFileSync(join(root, file), 'utf8')),
);

// Reached by what hangs alone: the longest tests take ten seconds on an idle machine, and two minutes were seen on a
// loaded one.
const timeouts = { testTimeout: 600_000, hookTimeout: 600_000 };

export default defineConfig({
  test: {
    projects: [
      // Files that share processes, in which each module is loaded once: that is a third of the processor time.
      {
        test: { name: 'unit', include: units, exclude: alone, isolate: false, restoreMocks: true, ...timeouts },
      },
      {
        test: { name: 'unit-alone', include: alone, ...timeouts },
      },
      {
        test: {
          name: 'bench',
          include: ['scripts/bench/test/unit/**/*.test.ts'],
          globalSetup: ['scripts/bench/test/install-packages.ts'],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'system',
          include: ['test/system/**/*.test.ts', 'scripts/bench/test/system/**/*.test.ts'],
          // Mounts, loop devices and restored processes are the machine's: one file at a time, and a look at the end at
          // what is left.
          fileParallelism: false,
          globalSetup: ['test/system/support/nothing-left.ts'],
          ...timeouts,
        },
      },
    ],
  },
});
