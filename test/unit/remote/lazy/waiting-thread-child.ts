// Waits over descriptor 3 for a block until the first signal, then for another one. Says on standard output what came.
import { writeSync } from 'node:fs';
import { Region } from '../../../../src/base/linux/native.ts';
import { handleOnSignalStack } from '../../../../src/base/linux/signal-stack.ts';
import { WAKING_SIGNAL } from '../../../../src/base/linux/thread-wake.ts';
import { BlockConnection } from '../../../../src/remote/lazy/block-connection.ts';

const SIZE = 4104;

process.on('SIGURG', () => undefined);
handleOnSignalStack(WAKING_SIGNAL);
let signals = 0;
const connection = new BlockConnection(3, 's3://b/i', () => signals++ === 0);
const to = new Region(SIZE);
try {
  connection.want(7, SIZE, to);
} catch (error) {
  writeSync(1, String((error as { code: unknown }).code));
}
connection.want(8, SIZE, to);
writeSync(1, to.bytes.every((byte) => byte === 8) ? 'right' : 'wrong');
