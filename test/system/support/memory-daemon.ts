/**
 * Mounts a file system in memory that can be written, through the transport as it is in src, for tests of the transport
 * alone:
 *   node memory-daemon.mjs MOUNTPOINT [OPTIONS-JSON]
 * Speaks as pattern-daemon.mjs does. An operation on a file whose attribute `user.fail` names it fails with EIO.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { Errno } from '../../../src/base/errno.ts';
import type { Region } from '../../../src/base/linux/native.ts';
import { Connection } from '../../../src/fuse/device/connection.ts';
import { serve } from '../../../src/fuse/device/device-loop.ts';
import { mountKernel } from '../../../src/fuse/mount/mount-kernel.ts';
import { unmount } from '../../../src/fuse/mount/mount-point.ts';
import { COUNTER_SLOTS } from '../../../src/fuse/protocol/counters.ts';
import type { AllocateMode, AttributeChanges, Attributes } from '../../../src/fuse/protocol/filesystem.ts';
import { WritableMemoryFileSystem } from '../../support/fuse/writable-memory-file-system.ts';

/** 64 MiB. */
const capacity = 16_384;

class FailingFileSystem extends WritableMemoryFileSystem {
  override write(
    node: number,
    offset: number,
    length: number,
    from: Region,
    fromOffset: number,
    killPrivileges: boolean,
  ): void {
    this.#failAt(node, 'write');
    super.write(node, offset, length, from, fromOffset, killPrivileges);
  }

  override allocate(node: number, offset: number, length: number, how: AllocateMode, killPrivileges: boolean): void {
    this.#failAt(node, 'allocate');
    super.allocate(node, offset, length, how, killPrivileges);
  }

  override setattr(node: number, changes: AttributeChanges): Attributes {
    this.#failAt(node, 'setattr');
    return super.setattr(node, changes);
  }

  override flush(node: number): void {
    this.#failAt(node, 'flush');
    super.flush(node);
  }

  override sync(node: number): void {
    this.#failAt(node, 'sync');
    super.sync(node);
  }

  #failAt(node: number, operation: string): void {
    if (this.nodes.get(node)?.xattrs.get('user.fail')?.toString() === operation) throw Errno.of('EIO');
  }
}

interface Served {
  readonly fd: number;
  readonly counters: Float64Array;
  readonly onlyUid: number | undefined;
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function main(): Promise<void> {
  const [directory = '', json = '{}'] = process.argv.slice(2);
  const { onlyUid, ...options } = {
    source: 'memory',
    readOnly: false,
    allowOther: true,
    maxRead: 1 << 20,
    ...JSON.parse(json),
  };
  const counters = new Float64Array(new SharedArrayBuffer(COUNTER_SLOTS * 8));
  process.stdin.on('data', (line) => {
    if (String(line).startsWith('unmount'))
      unmount(directory).catch((error) => print({ error: error.code ?? 'unknown', message: error.message }));
    else print({ counters: [...counters] });
  });
  process.stdin.unref();
  const { fd, mountPoint, device } = await mountKernel(directory, options);
  const served: Served = { fd, counters, onlyUid };
  const thread = new Worker(new URL('memory-daemon.mjs', import.meta.url), { workerData: served });
  thread.on('message', print);
  print({ mountPoint, device });
  await new Promise((resolve) => thread.once('exit', resolve));
  print({ ended: true });
}

if (isMainThread) {
  await main().catch((error) => {
    print({ error: error.code ?? 'unknown', message: error.message });
    process.exitCode = 1;
  });
} else {
  const { fd, counters, onlyUid }: Served = workerData;
  const onError = (error: unknown, operation: string, node: number) =>
    parentPort?.postMessage({ fault: String(error), operation, node });
  serve(
    fd,
    new Connection(new FailingFileSystem(capacity), { counters, onError, ...(onlyUid !== undefined && { onlyUid }) }),
  );
}
