import { rmSync } from 'node:fs';
import { MalformedError } from '../../base/bytes.ts';
import { Deadline } from '../../base/deadline.ts';
import { CkptfsError, ioError } from '../../base/errors.ts';
import { closeDescriptor } from '../../base/linux/descriptors.ts';
import type { Directory } from '../../base/linux/directory.ts';
import { tryLock } from '../../base/linux/files.ts';
import { timeAt } from '../../base/time.ts';
import { BlockTable } from '../../format/block-table.ts';
import { packPart } from '../../format/packed-part.ts';
import {
  encodeRemoteIndex,
  objectIdOf,
  type PushedBytes,
  partsOf,
  type RemoteIndex,
} from '../../format/remote-index.ts';
import { pause } from '../../keys/sources/pause.ts';
import { checkHeader, fetchWhole } from '../fetch-whole.ts';
import { sha256Hex } from '../shared/digest.ts';
import { corrupt } from '../shared/faults.ts';
import type { RemoteStore } from '../shared/remote-store.ts';
import type { CacheDirectory } from './cache-directory.ts';
import { openOwn, putFile, readExactFile } from './cache-files.ts';
import { IMAGE, INDEX, stubImage, TABLE } from './cache-layout.ts';

const LOCK_MILLISECONDS = 10;

/** What a mount needs of an image before it reads one of its objects. */
export interface Stub {
  /** The absolute path of the image directory without objects. */
  readonly image: string;
  readonly table: BlockTable;
  /** Ends the lock that keeps it from being removed. */
  release(): void;
}

/** How long a process is waited for that just removes a stub. */
export interface StubPatience {
  readonly signal: AbortSignal;
  readonly milliseconds: number;
}

/**
 * Makes the stub of an image, or mends it: every file that is not what the index says is fetched.
 * @throws CkptfsError `store-unavailable`, `damaged`, `io`, `interrupted`
 */
export async function prepareStub(
  remote: RemoteStore,
  index: RemoteIndex,
  cache: CacheDirectory,
  patience: StubPatience,
): Promise<Stub> {
  const encoded = encodeRemoteIndex(index);
  const digest = sha256Hex(encoded);
  const opened = await openStub(cache, digest, patience);
  const { stub, image } = opened;
  try {
    const bytesOf = async (directory: Directory, name: string, file: PushedBytes): Promise<Buffer> => {
      const found = readOrNothing(directory, name, file.size);
      if (found !== undefined && isRight(found, file, index.partSize)) return found;
      const bytes = await fetchWhole(remote, file, index.partSize);
      put(cache, directory, name, bytes);
      return bytes;
    };
    if (readOrNothing(stub, INDEX, encoded.length)?.equals(encoded) !== true) put(cache, stub, INDEX, encoded);
    const files = index.files.filter((file) => objectIdOf(file) === undefined);
    removeOthers(image, new Set(files.map(({ name }) => name)));
    const [table] = await Promise.all([
      bytesOf(stub, TABLE, index.blocks),
      ...files.map(async (file) => {
        const bytes = await bytesOf(image, file.name, file);
        if (file.name === 'ckptfs.json') checkHeader(remote, index, bytes);
      }),
    ]);
    const now = timeAt(Date.now());
    cache.images.utimes(digest, now, now);
    return { image: stubImage(cache.path, digest), table: parsedTable(remote, index, table), release: opened.release };
  } catch (cause) {
    opened.release();
    throw ioError('use', cache.path, cause);
  } finally {
    stub.close();
    image.close();
  }
}

interface OpenedStub {
  readonly stub: Directory;
  readonly image: Directory;
  readonly release: () => void;
}

/** Opens the directories of a stub, and locks them as a reader does, so that no process removes them. */
async function openStub(
  cache: CacheDirectory,
  digest: string,
  { signal, milliseconds }: StubPatience,
): Promise<OpenedStub> {
  const deadline = Deadline.after(milliseconds);
  for (;;) {
    const stub = openOwn(cache.images, digest, cache.path);
    const image = openOwn(stub, IMAGE, cache.path);
    const fd = image.openReadable();
    if (isLocked(fd) && cache.images.lstat(digest)?.ino === stub.stat().ino)
      return { stub, image, release: () => closeDescriptor(fd) };
    // It is just being removed.
    closeDescriptor(fd);
    for (const directory of [stub, image]) directory.close();
    const { path } = cache;
    if (signal.aborted) throw new CkptfsError('interrupted', `${path}: interrupted`);
    if (deadline.hasPassed)
      throw new CkptfsError('io', `${path}: another process has what is there of the image locked`, { path });
    await pause(LOCK_MILLISECONDS, signal).catch(() => undefined);
  }
}

/** Returns true also where the storage has no locks: then no process removes stubs. */
function isLocked(fd: number): boolean {
  try {
    return tryLock(fd, 'shared');
  } catch {
    return true;
  }
}

function parsedTable({ location }: RemoteStore, index: RemoteIndex, bytes: Buffer): BlockTable {
  try {
    return new BlockTable(bytes, index);
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause;
    throw corrupt(location, `its table of blocks cannot be used: ${cause.message}`, cause);
  }
}

function readOrNothing(directory: Directory, name: string, size: number): Buffer | undefined {
  try {
    return readExactFile(directory, name, size);
  } catch {
    return undefined;
  }
}

function isRight(bytes: Buffer, file: PushedBytes, partSize: number): boolean {
  return partsOf(file, partSize).every(
    ({ start, length, digest }) => sha256Hex(packPart(bytes.subarray(start, start + length))) === digest,
  );
}

function put(cache: CacheDirectory, directory: Directory, name: string, bytes: Buffer): void {
  try {
    putFile(directory, name, bytes, cache.images);
  } catch (cause) {
    throw ioError('write to', directory.path(), cause);
  }
}

/** Removes what makes another image of it. */
function removeOthers(image: Directory, wanted: ReadonlySet<string>): void {
  for (const name of image.names().map(String))
    if (!wanted.has(name) || image.lstat(name)?.isFile() !== true)
      rmSync(`/proc/self/fd/${image.fd}/${name}`, { recursive: true, force: true });
}
