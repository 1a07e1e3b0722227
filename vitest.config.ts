import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          // Reached by what hangs alone: the longest tests take ten seconds on an idle machine, and two minutes were
          // seen on a loaded one.
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
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
          // Reached by what hangs alone, as for unit tests.
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
    ],
  },
});
