import { SECTOR_SIZE } from '../../../src/format/geometry.ts';
import { BLOCK_SIZE, BLOCKS } from '../../../src/fs/ahead/layout.ts';
import { DEFAULT_MAX_TRANSFER_BYTES } from '../../../src/fuse/device/connection.ts';
import { FUSE_MIN_READ_BUFFER } from '../../../src/fuse/protocol/abi.ts';
import { RUN_SIZE } from '../../../src/image/read/image-reader.ts';
import { MAX_OPEN_OBJECTS } from '../../../src/image/read/object-reader.ts';
import { heapLimit } from '../../../src/serve/daemon/serving-threads.ts';

const MEBIBYTE = 1 << 20;

/** What docs/design.md, "How much memory a daemon takes", measures and rounds up. */
const PROCESS = 64 * MEBIBYTE;
const ISOLATE = 6 * MEBIBYTE;
const OPEN_OBJECT = 16 << 10;
/** As many bytes as the queues of io_uring have, which a mount has instead. */
const AHEAD = BLOCKS * BLOCK_SIZE;

/** Returns the bound of docs/design.md on the memory of the daemon of a mount that is only read, in bytes. */
export function memoryBound(mount: { workers: number; cacheSize: number; manifestSize: number }): number {
  const { workers, cacheSize, manifestSize } = mount;
  const heap = (heapLimit(manifestSize, false) * MEBIBYTE) / 2;
  const buffers = 2 * (DEFAULT_MAX_TRANSFER_BYTES + FUSE_MIN_READ_BUFFER) + RUN_SIZE + SECTOR_SIZE;
  return PROCESS + cacheSize + AHEAD + (workers + 1) * (ISOLATE + heap + buffers + MAX_OPEN_OBJECTS * OPEN_OBJECT);
}
