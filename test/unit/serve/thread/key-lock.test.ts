import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { KeyLock, lockFollower, ThreadWipe } from '../../../../src/serve/thread/key-lock.ts';
import { namesInMemory } from '../../../support/memory.ts';

test('a thread wipes once for each time that the mount is locked, and says when it has', () => {
  const memory = new SharedArrayBuffer(KeyLock.byteLength);
  const [daemon, thread] = [new KeyLock(memory), new KeyLock(memory)];
  const words = new SharedArrayBuffer(ThreadWipe.byteLength);
  const [seen, own] = [new ThreadWipe(words), new ThreadWipe(words)];
  let wipes = 0;
  const follow = lockFollower(thread, own, () => wipes++);
  follow();
  expect([wipes, thread.isLocked]).toEqual([0, false]);
  for (let round = 1; round <= 3; round++) {
    daemon.lock();
    daemon.lock();
    expect([thread.isLocked, seen.hasWiped(daemon.generation)]).toEqual([true, false]);
    follow();
    follow();
    expect([wipes, seen.hasWiped(daemon.generation)]).toEqual([round, true]);
    daemon.unlock();
    daemon.unlock();
    follow();
    expect([wipes, thread.isLocked]).toEqual([round, false]);
  }
});

test('a thread that was woken keeps nothing of what its registers held then', async () => {
  const secret = randomBytes(8);
  const program = fileURLToPath(new URL('woken-thread-child.ts', import.meta.url));
  const inverted = Buffer.from(secret.map((byte) => ~byte)).toString('hex');
  const args = ['--import', 'tsx', program, inverted];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const said = async () => String((await once(child.stdout, 'data'))[0]).trim();
  const needles = new Map([['secret', secret]]);
  try {
    expect(await said()).toBe('woken');
    // That the kernel saves registers where the search finds them.
    expect(namesInMemory(child.pid ?? 0, needles)).toEqual(['secret']);
    child.stdin.write('\n');
    expect(await said()).toBe('wiped');
    expect(namesInMemory(child.pid ?? 0, needles)).toEqual([]);
    child.stdin.write('\n');
    expect(await said()).toBe('ended');
    expect(namesInMemory(child.pid ?? 0, needles)).toEqual([]);
  } finally {
    child.kill();
  }
});
