// Goal: the demo finds what it promises to find.
// Method: its inner part runs with real criu and podman; the set-up before it is that of the tests, too.
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { runProgram } from './support/programs.ts';
import { systemTest } from './support/requirements.ts';

const demo = fileURLToPath(new URL('../../scripts/demo', import.meta.url));

/**
 * Runs the inner part of the demo, and returns what it prints.
 */
function runDemo(): string {
  const work = fs.mkdtempSync(join(tmpdir(), 'ckptfs-demo-test-'));
  try {
    const namespaces = ['--pid', '--mount', '--fork', '--kill-child', '--mount-proc'];
    return runProgram('unshare', ...namespaces, demo, 'inside', work);
  } finally {
    fs.rmSync(work, { recursive: true, maxRetries: 10 });
  }
}

/** Returns the count of each line `WHERE:COUNT` that a scan printed. */
function found(part: string): string[] {
  return [...part.matchAll(/^ +\S+:(\d+)$/gm)].map(([, count = '']) => count);
}

systemTest(
  ['criu', 'fuse', 'loop', 'namespaces', 'gcc', 'podman', 'runc', 'dockerRegistry'],
  'the demo finds the secret of a plain dump on the disk, and none of an encrypted one, and restores what it dumped',
  () => {
    const [
      ,
      start = '',
      plain = '',
      encrypted = '',
      restored = '',
      unmounted = '',
      pushed = '',
      fetched = '',
      cached = '',
      container = '',
      moved = '',
      ...more
    ] = runDemo().split(/^\d+\. /m);
    expect(more).toEqual([]);
    expect(found(plain)).toEqual(['1', '1']);
    expect(found(encrypted)).toEqual(['0', '0']);
    expect(found(container)).toEqual(['0', '0']);
    expect(/^ +(\d+)$/m.exec(moved)?.[1]).toBe('1');
    expect(pushed).toMatch(/sent \d+ MiB/);
    expect(fetched).toMatch(/fetched \d+ MiB/);
    expect(cached).toContain('fetched 0 bytes');
    for (const parts of [
      [start, restored, unmounted],
      [start, fetched],
      [start, cached],
      [container, moved],
    ]) {
      const counts = parts.map((part) => Number(/.*count=(\d+) .*memory=ok/s.exec(part)?.[1]));
      for (let at = 1; at < counts.length; at++) expect(counts[at]).toBeGreaterThan(counts[at - 1] ?? Number.NaN);
    }
  },
);
