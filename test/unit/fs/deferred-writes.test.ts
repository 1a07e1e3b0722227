// Goal: what is answered before it is stored, and what fails until it is stored.
// Method: an inner file system and an image that only record what is asked of them, and fail when they are told to.
import { beforeEach, describe, expect, test } from 'vitest';
import { Errno } from '../../../src/base/errno.ts';
import { CkptfsError } from '../../../src/base/errors.ts';
import { Region } from '../../../src/base/linux/native.ts';
import { MIN_DEFERRED_WRITE } from '../../../src/base/tuning.ts';
import { DeferredWrites, type DeferringImage } from '../../../src/fs/deferred-writes.ts';
import { ForwardingTree } from '../../../src/fs/forwarding-tree.ts';
import type { ReservingFileSystem } from '../../../src/fs/reserving-file-system.ts';
import type { Attributes, WritableFileSystem } from '../../../src/fuse/protocol/filesystem.ts';
import { allTimes } from '../../support/times.ts';

const SIZE = MIN_DEFERRED_WRITE;
const [FILE, OTHER] = [2, 3];
const name = Buffer.from('name');
const caller = { uid: 1, gid: 1 };
const io = new CkptfsError('io', 'cannot write it');

/** A file system of which each operation notes its name and arguments, and returns a value of its own. */
function recorded(calls: unknown[][]): WritableFileSystem {
  const operation = (method: string) => {
    return (...args: unknown[]): string => {
      calls.push([method, ...args]);
      return `what ${method} returns`;
    };
  };
  return new Proxy({}, { get: (_, method) => operation(String(method)) }) as WritableFileSystem;
}

/** Two files, 2 and 3, of 10 bytes. It notes the operations that concern contents, and which bytes are written. */
class InnerTree extends ForwardingTree<WritableFileSystem> implements ReservingFileSystem {
  readonly calls: string[] = [];
  readonly written: Uint8Array[] = [];
  readsStored = false;
  /** What the second half of a write throws. */
  failure: unknown;
  /** What the first half throws, and a change of attributes. */
  refusal: unknown;

  constructor() {
    super(recorded([]));
  }

  reserve(node: number, _offset: number, length: number): boolean {
    if (this.refusal !== undefined) throw this.refusal;
    this.calls.push(`reserve ${node} ${length}`);
    return this.readsStored;
  }

  readonly writeReserved = (node: number, offset: number, length: number, from: Region, fromOffset: number): void => {
    if (this.failure !== undefined) throw this.failure;
    this.calls.push(`writeReserved ${node} ${offset}`);
    this.written.push(from.bytes.subarray(fromOffset, fromOffset + length));
  };

  override write(node: number): void {
    this.calls.push(`write ${node}`);
  }

  override getattr(node: number): Attributes {
    const ids = { uid: 0, gid: 0 };
    return { node, mode: 0o100644, size: 10, blocks: 8, links: 1, ...ids, ...allTimes({ seconds: 0, nanoseconds: 0 }) };
  }

  override lookup(): Attributes {
    return this.getattr(FILE);
  }

  override link(node: number): Attributes {
    return this.getattr(node);
  }

  override setattr(node: number): Attributes {
    if (this.refusal !== undefined) throw this.refusal;
    this.calls.push(`setattr ${node}`);
    return this.getattr(node);
  }

  override entryAfter(): { cookie: number; name: Uint8Array; attributes: Attributes } {
    return { cookie: 1, name, attributes: this.getattr(FILE) };
  }

  override read(node: number): number {
    this.calls.push(`read ${node}`);
    return 0;
  }

  override seek(node: number): number {
    this.calls.push(`seek ${node}`);
    return 0;
  }

  override allocate(node: number): void {
    this.calls.push(`allocate ${node}`);
  }

  override flush(node: number): void {
    this.calls.push(`flush ${node}`);
  }

  override sync(node: number): void {
    this.calls.push(`sync ${node}`);
  }
}

/** Notes which file is marked as lost. */
class FakeImage implements DeferringImage {
  readonly removed = new Set<number>();
  readonly marks: (number | undefined)[] = [];
  failure: unknown;
  /** Called by each sync. */
  onSync: () => void = () => undefined;
  readonly unstored = {
    setRefusedWrite: (node: number | undefined): void => {
      this.marks.push(node);
    },
    describe: (): string | undefined => (this.marks.at(-1) === undefined ? undefined : '"f"'),
  };

  inode(node: number): unknown {
    return this.removed.has(node) ? undefined : {};
  }

  readonly writeReserved = (): void => {
    if (this.failure !== undefined) throw this.failure;
  };

  sync(): void {
    this.onSync();
  }
}

let inner: InnerTree;
let image: FakeImage;
let tree: DeferredWrites;

beforeEach(() => {
  inner = new InnerTree();
  image = new FakeImage();
  tree = new DeferredWrites(inner, image);
});

/** Writes to a file from the second byte of a buffer on, and returns the buffer. */
function write(node: number, fill = 'a', length = SIZE, offset = 0): Region {
  const from = new Region(Buffer.alloc(length + 2, fill));
  tree.write(node, offset, length, from, 2, false);
  return from;
}

/** Defers a write that the store fails, as the transport does: the buffer of the request is used again. */
function refuseWrite(node = FILE): void {
  inner.failure = Errno.of('ENOSPC');
  image.failure = io;
  const from = write(node);
  tree.settle();
  from.bytes.fill('z');
}

/** Lets the store take writes again. */
function mend(): void {
  inner.failure = undefined;
  image.failure = undefined;
}

const isRefused = (act: () => unknown): void => expect(act).toThrow(Errno.of('ENOSPC'));

test('every operation reaches the inner file system with its arguments, and its result the caller', () => {
  const calls: unknown[][] = [];
  const forwarding = new ForwardingTree(recorded(calls));
  const region = new Region(1);
  const operations = [
    ['lookup', 1, name],
    ['getattr', 1],
    ['readlink', 1],
    ['read', 1, 2, 3, region, 4],
    ['entryAfter', 1, 2],
    ['statfs'],
    ['getxattr', 1, name],
    ['listxattr', 1],
    ['seek', 1, 2, 'data'],
    ['create', 1, name, 2, caller],
    ['mknod', 1, name, 'fifo', 2, caller],
    ['mkdir', 1, name, 2, caller],
    ['symlink', 1, name, name, caller],
    ['link', 1, 2, name],
    ['setattr', 1, {}],
  ] as const;
  const changes = [
    ['unlink', 1, name],
    ['rmdir', 1, name],
    ['rename', 1, name, 2, name, 'exchange'],
    ['write', 1, 2, 3, region, 4, true],
    ['allocate', 1, 2, 3, 'zero', true],
    ['setxattr', 1, name, name, 'create'],
    ['removexattr', 1, name],
    ['flush', 1],
    ['sync', 1],
    ['settle'],
    ['addLookup', 1],
    ['forget', 1, 2],
  ] as const;
  const call = (method: string, args: readonly unknown[]): unknown =>
    (forwarding as unknown as Record<string, (...args: unknown[]) => unknown>)[method]?.(...args);
  for (const [method, ...args] of operations) expect(call(method, args)).toBe(`what ${method} returns`);
  for (const [method, ...args] of changes) call(method, args);
  expect(calls).toEqual([...operations, ...changes]);
});

describe('a large write', () => {
  test('is answered when space is reserved, and stored from the buffer of its request afterwards', () => {
    const from = write(FILE);
    expect(inner.calls).toEqual([`reserve 2 ${SIZE}`]);
    tree.settle();
    tree.settle();
    expect(inner.calls.slice(1)).toEqual(['writeReserved 2 0']);
    expect(inner.written[0]?.buffer).toBe(from.bytes.buffer);
    expect(image.marks).toEqual([]);
  });

  test('is stored at once if a stored chunk must be read for it', () => {
    inner.readsStored = true;
    write(FILE);
    expect(inner.calls).toEqual([`reserve 2 ${SIZE}`, 'writeReserved 2 0']);
  });

  test('that is refused is not deferred', () => {
    inner.refusal = Errno.of('ENOSPC');
    isRefused(() => write(FILE));
    tree.settle();
    expect(inner.calls).toEqual([]);
  });

  test('is the only one: another write stores it first', () => {
    write(FILE);
    write(OTHER);
    write(FILE, 'b', 1);
    expect(inner.calls).toEqual([
      `reserve 2 ${SIZE}`,
      'writeReserved 2 0',
      `reserve 3 ${SIZE}`,
      'writeReserved 3 0',
      'write 2',
    ]);
  });

  test('shows in the size of its file as soon as it is answered', () => {
    write(FILE, 'a', SIZE, 100);
    const shown = [
      tree.getattr(FILE),
      tree.lookup(1, name),
      tree.link(FILE, 1, name),
      tree.setattr(FILE, { mode: 0o600 }),
      tree.entryAfter(1, 0)?.attributes,
    ];
    expect(shown.map((attributes) => attributes?.size)).toEqual(Array(5).fill(SIZE + 100));
    expect(tree.getattr(OTHER).size).toBe(10);
  });

  test.each<[string, (node: number) => unknown]>([
    ['read', (node) => tree.read(node, 0, 1, new Region(1), 0)],
    ['seek', (node) => tree.seek(node, 0, 'data')],
    ['allocate', (node) => tree.allocate(node, 0, 1, 'keep-size', false)],
    ['setattr', (node) => tree.setattr(node, { size: 5 })],
  ])('is stored before the contents of its file are used, and not for those of another: %s', (operation, use) => {
    write(FILE);
    use(OTHER);
    use(FILE);
    expect(inner.calls.slice(1)).toEqual([`${operation} 3`, 'writeReserved 2 0', `${operation} 2`]);
  });
});

test('a small write is stored when it is answered', () => {
  write(FILE, 'a', SIZE - 1);
  expect(inner.calls).toEqual(['write 2']);
});

describe('a write that the store failed', () => {
  test('keeps its bytes, marks its file, and fails every write, flush and sync until it is stored', () => {
    refuseWrite();
    inner.calls.length = 0;
    for (const node of [FILE, OTHER]) {
      isRefused(() => write(node, 'x', 1));
      isRefused(() => write(node));
      isRefused(() => tree.flush(node));
      isRefused(() => tree.sync(node));
    }
    for (const use of [
      () => tree.read(FILE, 0, 1, new Region(1), 0),
      () => tree.seek(FILE, 0, 'data'),
      () => tree.allocate(FILE, 0, 1, 'keep-size', false),
    ]) {
      isRefused(use);
    }
    tree.read(OTHER, 0, 1, new Region(1), 0);
    // Everything else is committed and made durable all the same.
    expect(inner.calls).toEqual(['flush 2', 'sync 2', 'flush 3', 'sync 3', 'read 3']);
    expect(new Set(image.marks)).toEqual(new Set([FILE]));
    mend();
    tree.settle();
    expect(image.marks.at(-1)).toBeUndefined();
    // Its copy was wiped as soon as it was stored.
    expect(inner.written[0]?.every((byte) => byte === 0)).toBe(true);
    tree.flush(OTHER);
    expect(inner.written).toHaveLength(1);
  });

  test('is stored with the bytes that were written', () => {
    refuseWrite();
    mend();
    let stored = '';
    const { writeReserved } = inner;
    Object.assign(inner, {
      writeReserved: (...args: Parameters<typeof writeReserved>) => {
        const [, , length, from, fromOffset] = args;
        stored = Buffer.from(from.bytes.subarray(fromOffset, fromOffset + length)).toString();
      },
    });
    tree.flush(OTHER);
    expect(stored === 'a'.repeat(SIZE)).toBe(true);
  });

  test.each([
    ['in part', 100, 100],
    ['as a whole', 0, 10],
  ])('is given up %s where its file is cut before its end', (_, size, left) => {
    refuseWrite();
    tree.setattr(FILE, { size });
    expect(tree.getattr(FILE).size).toBe(left);
    mend();
    tree.flush(FILE);
    expect(inner.written.map(({ length }) => length)).toEqual(size === 0 ? [] : [size]);
    expect(image.marks.at(-1)).toBeUndefined();
  });

  test('stays whole when its file could not be cut', () => {
    refuseWrite();
    inner.refusal = Errno.of('EIO');
    expect(() => tree.setattr(FILE, { size: 3 })).toThrow(Errno.of('EIO'));
    expect(tree.getattr(FILE).size).toBe(SIZE);
  });

  test.each<[string, () => void]>([
    ['unlink', () => tree.unlink(1, name)],
    ['rename', () => tree.rename(1, name, 1, name, 'replace')],
    ['forget', () => tree.forget(FILE, 1)],
  ])('goes with its file: %s', (_, remove) => {
    refuseWrite();
    remove();
    isRefused(() => tree.flush(OTHER));
    image.removed.add(FILE);
    remove();
    expect(image.marks.at(-1)).toBeUndefined();
    tree.flush(OTHER);
    expect(inner.written).toEqual([]);
  });

  test('is kept also when it fails by a fault of ours, which is thrown', () => {
    inner.failure = new TypeError('a fault');
    const from = write(FILE);
    expect(() => tree.settle()).toThrow(TypeError);
    from.bytes.fill('z');
    expect(() => tree.setattr(FILE, { size: 0 })).toThrow(TypeError);
    expect(() => tree.flush(OTHER)).toThrow(TypeError);
    expect(inner.calls.slice(1)).toEqual(['flush 3']);
    mend();
    tree.flush(OTHER);
    expect(inner.written).toHaveLength(1);
  });

  test('is wiped at the end', () => {
    refuseWrite();
    let kept: Uint8Array | undefined;
    Object.assign(inner, {
      writeReserved: (_node: number, _offset: number, _length: number, from: Region) => {
        kept = from.bytes;
        throw Errno.of('ENOSPC');
      },
    });
    isRefused(() => tree.flush(FILE));
    expect(kept?.[0]).toBe(0x61);
    tree.close();
    expect(kept?.every((byte) => byte === 0)).toBe(true);
  });
});

describe('the last attempt', () => {
  test('stores what waits, and makes it durable', () => {
    let syncs = 0;
    image.onSync = () => syncs++;
    write(FILE);
    tree.finish();
    expect(syncs).toBe(1);
    tree.settle();
    expect(inner.written).toEqual([]);
  });

  test('is made twice, because making the rest durable may give space back', () => {
    refuseWrite();
    image.onSync = mend;
    tree.finish();
    expect(image.marks.at(-1)).toBeUndefined();
  });

  test('names the files of which something is lost', () => {
    refuseWrite();
    expect(() => tree.finish()).toThrow(
      expect.objectContaining({
        code: 'io',
        message: 'what was written last to "f" could not be stored and is lost: cannot write it',
      }),
    );
  });

  test('passes on what fails when nothing is lost, and a fault of ours', () => {
    for (const failure of [io, new TypeError('a fault')]) {
      image.onSync = () => {
        throw failure;
      };
      expect(() => tree.finish()).toThrow(failure);
    }
  });
});
