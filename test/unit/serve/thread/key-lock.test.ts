import { expect, test } from 'vitest';
import { KeyLock, lockFollower, ThreadWipe } from '../../../../src/serve/thread/key-lock.ts';

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
