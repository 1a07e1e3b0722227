// Goal: a test that waits for a process fails at once, and names it, when what it waits for cannot come.
// Method: processes end before they do it.
import { spawn } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { endOf, firstOutput, kill, opens } from './support/children.ts';

describe('waiting for a process', () => {
  test('tells how it ended, also when it had ended before', async () => {
    const failed = spawn('sh', ['-c', 'exit 3'], { stdio: 'ignore' });
    expect(await endOf(failed)).toEqual([3, null]);
    expect(await kill(failed)).toEqual([3, null]);
    expect(await kill(spawn('sleep', ['600'], { stdio: 'ignore' }), 'SIGKILL')).toEqual([null, 'SIGKILL']);
  });

  test('to say something fails when it ends in silence', async () => {
    const silent = spawn('sh', ['-c', 'exit 3'], { stdio: ['ignore', 'pipe', 'ignore'] });
    await expect(firstOutput(silent)).rejects.toThrow('it ended without output: sh -c exit 3');
    const talking = spawn('sh', ['-c', 'echo begun; exec sleep 600'], { stdio: ['ignore', 'pipe', 'ignore'] });
    expect(String(await firstOutput(talking))).toBe('begun\n');
    await kill(talking);
  });

  test('to open a file fails when it ends without', async () => {
    const other = spawn('sh', ['-c', 'exit 3'], { stdio: 'ignore' });
    await expect(opens(other, '/dev', 'zero')).rejects.toThrow('it ended with 3: sh -c exit 3');
    const reader = spawn('sh', ['-c', 'exec sleep 600 </dev/zero'], { stdio: 'ignore' });
    await opens(reader, '/dev', 'zero');
    await kill(reader);
  });
});
