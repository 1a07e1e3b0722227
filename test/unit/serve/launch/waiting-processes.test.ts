import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { expect, test } from 'vitest';
import {
  descendantsStartedWith,
  holdsUserfaultfd,
  processesWaitingForMemory,
  textIfThere,
} from '../../../../src/serve/launch/waiting-processes.ts';

test('a process that has ended has no text, and every other failure to read is an error', () => {
  expect(textIfThere(`/proc/${2 ** 22}/smaps`)).toBeUndefined();
  expect(() => textIfThere('/proc/self/task')).toThrow(/EISDIR/);
  expect(() => textIfThere('/proc/self/stat/smaps')).toThrow(/ENOTDIR/);
});

test('no process waits for memory, nor has any to bring, where no userfaultfd is', async () => {
  const child = spawn('sleep', ['60']);
  await once(child, 'spawn');
  try {
    expect(processesWaitingForMemory(process.pid)).toEqual([]);
    expect(holdsUserfaultfd(child.pid ?? 0)).toBe(false);
  } finally {
    child.kill('SIGKILL');
  }
});

test('whether a process waits is not known while no descriptor is free', () => {
  const open: number[] = [];
  const bound = (soft: string): unknown => execFileSync('prlimit', ['--pid', `${process.pid}`, `--nofile=${soft}:`]);
  const before = execFileSync('prlimit', ['--pid', `${process.pid}`, '--nofile', '--noheadings', '--output=SOFT']);
  bound('256');
  try {
    expect(() => {
      for (;;) open.push(openSync('/dev/null', 'r'));
    }).toThrow(/EMFILE|ENFILE/);
    expect(() => processesWaitingForMemory(process.pid)).toThrow(/EMFILE|ENFILE/);
    expect(() => holdsUserfaultfd(process.pid)).toThrow(/EMFILE|ENFILE/);
  } finally {
    for (const fd of open) closeSync(fd);
    bound(String(before).trim());
  }
});

test('descendants are found by words that follow each other on their command line, at any depth', async () => {
  const words = ['of', `test ${process.pid}`];
  const child = spawn('sh', ['-c', 'sh -c "echo ready; read -r _" "$@"; :', 'sh', ...words], { stdio: 'pipe' });
  await once(child.stdout, 'data');
  try {
    const found = descendantsStartedWith(process.pid, words);
    expect(found).toContain(child.pid);
    expect(found).toHaveLength(2);
    expect(descendantsStartedWith(process.pid, [...words].reverse())).toEqual([]);
  } finally {
    child.stdin.end();
    await once(child, 'exit');
  }
});
