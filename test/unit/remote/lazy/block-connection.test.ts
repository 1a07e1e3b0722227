import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { encodeBlockHead, encodeRequest, WANT } from '../../../../src/remote/lazy/protocol.ts';

const SIZE = 4104;

test('a block is given up in its midst, and the next answer is taken for what it is', async () => {
  const program = fileURLToPath(new URL('waiting-thread-child.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', program], { stdio: ['ignore', 'pipe', 'inherit', 'pipe'] });
  const fetcher = child.stdio[3] as Socket;
  const next = async (stream: NodeJS.ReadableStream | null) => (await once(stream as NodeJS.ReadableStream, 'data'))[0];
  let signals: NodeJS.Timeout | undefined;
  try {
    expect(await next(fetcher)).toEqual(encodeRequest({ operation: WANT, block: 7 }));
    fetcher.write(Buffer.concat([encodeBlockHead(SIZE), Buffer.alloc(100, 7)]));
    // One that comes while the thread does not wait interrupts nothing.
    signals = setInterval(() => child.kill('SIGURG'), 20);
    expect(String(await next(child.stdout))).toBe('interrupted');
    clearInterval(signals);
    fetcher.write(Buffer.alloc(SIZE - 100, 7));
    expect(await next(fetcher)).toEqual(encodeRequest({ operation: WANT, block: 8 }));
    fetcher.write(Buffer.concat([encodeBlockHead(SIZE), Buffer.alloc(SIZE, 8)]));
    expect(String(await next(child.stdout))).toBe('right');
  } finally {
    clearInterval(signals);
    child.kill('SIGKILL');
  }
});
