import {
  directoryEntry,
  directoryInode,
  type Extent,
  fifoInode,
  fileInode,
  filler,
  type ManifestParts,
  objectEntry,
  socketInode,
  symlinkInode,
} from './encode.ts';

/** Two object ids in ascending order. */
export const ids = [Buffer.alloc(16, 0x11), Buffer.alloc(16, 0x22)] as const;
export const digest = filler('digest', 32);

export const extent: Extent = { fileOffset: 0, object: 0, objectOffset: 0, length: 20000 };

/** A root with one file of 20000 bytes in one object of two chunks: what the faulty manifests are made of. */
export const small: ManifestParts = {
  epoch: 1,
  objects: [objectEntry(ids[0], 2, [digest])],
  inodes: [directoryInode(), fileInode(20000, [extent])],
  entries: [directoryEntry(1, 2, 'pages-1.img')],
};

export const rootOnly: ManifestParts = { epoch: 1, objects: [], inodes: [directoryInode()], entries: [] };

/** Everything a manifest can hold. */
export const full: ManifestParts = {
  epoch: Number.MAX_SAFE_INTEGER,
  objects: [objectEntry(ids[0], 65, [digest, filler('second digest', 32)]), objectEntry(ids[1], 1, [digest])],
  inodes: [
    directoryInode({
      xattrs: [
        ['user.a', Buffer.alloc(0)],
        ['user.b\xff', filler('attribute', 30)],
      ],
    }),
    directoryInode({ mode: 0o7777, uid: 0xffff_ffff, gid: 0xffff_ffff, mtime: [-1, 999_999_999] }),
    fileInode(0, [], { mode: 0, atime: [Number.MAX_SAFE_INTEGER, 0], ctime: [Number.MIN_SAFE_INTEGER, 1] }),
    fileInode(2 ** 40, [
      { fileOffset: 4096, object: 0, objectOffset: 0, length: 4096 },
      { fileOffset: 8192, object: 0, objectOffset: 8192, length: 1 },
      { fileOffset: 2 ** 40 - 1, object: 0, objectOffset: 65 * 16384 - 1, length: 1 },
    ]),
    fileInode(Number.MAX_SAFE_INTEGER, [{ fileOffset: 0, object: 1, objectOffset: 0, length: 16384 }]),
    symlinkInode(Buffer.from('../pages-1.img'), { mtime: [Number.MIN_SAFE_INTEGER, 0] }),
    symlinkInode(Buffer.alloc(4095, 0x2f)),
    fifoInode({ mode: 0o600 }),
    socketInode({ xattrs: [['user.a', Buffer.alloc(0)]] }),
  ],
  entries: [
    directoryEntry(1, 2, Buffer.of(0x01)),
    directoryEntry(1, 3, '...'),
    directoryEntry(1, 4, Buffer.alloc(255, 0x78)),
    directoryEntry(1, 5, Buffer.of(0xff, 0xfe)),
    directoryEntry(2, 4, 'hard link'),
    directoryEntry(2, 6, 'link'),
    directoryEntry(2, 7, 'long link'),
    directoryEntry(2, 8, 'meeting point'),
    directoryEntry(2, 8, 'meeting point 2'),
    directoryEntry(2, 9, 'socket'),
  ],
};
