import type { WayToRestore } from './restoring.ts';

/** Has the kernel start with what a store keeps, and ends with a process that runs. All of it counts. */
export type Source = 'plain' | 'archive' | 'encrypted';

/** A way from files of this host, in memory or on a disk whose cache was dropped before. */
export interface LocalWay extends WayToRestore {
  readonly source: Source;
  readonly compress?: string;
}

const UNPACK = 'mkdir "$here/images"; zstd -q -d -c "$archive" | tar -C "$here/images" -x';

export const localWays: readonly LocalWay[] = [
  { name: 'plain', source: 'plain', script: 'restore "$images"' },
  { name: 'archive', source: 'archive', script: `${UNPACK}; restore "$here/images"` },
  ...['none', 'auto', 'lz4'].map(
    (compress): LocalWay => ({
      name: compress,
      source: 'encrypted',
      compress,
      script: 'mount_image "$encrypted"; restore "$here/mnt"',
    }),
  ),
  { name: 'plain, lazy-pages', source: 'plain', script: 'restore_lazily "$images"' },
  { name: 'archive, lazy-pages', source: 'archive', script: `${UNPACK}; restore_lazily "$here/images"` },
  { name: 'auto, lazy-pages', source: 'encrypted', compress: 'auto', script: 'exec_lazily "$encrypted"' },
];

/** A way from a store that another host is. */
export interface RemoteWay extends WayToRestore {
  readonly compress?: string;
  /** Which recorded order of fetching it uses. */
  readonly profile?: 'eager' | 'lazy';
  /** Everything was fetched before. */
  readonly warm?: boolean;
}

const FETCH = 'curl --silent --show-error --fail';
const MOUNT = 'mount_image "$encrypted" --remote-cache "$cache"';
const RESTORE = 'mark mounted; restore "$here/mnt"';
const EXEC = 'exec_lazily "$encrypted" --remote-cache "$cache"';

export const remoteWays: readonly RemoteWay[] = [
  {
    name: 'archive',
    script: `${FETCH} -o "$here/archive" "$archive"; archive=$here/archive; ${UNPACK}; restore "$here/images"`,
  },
  {
    name: 'archive, unpacked as it comes',
    script: `mkdir "$here/images"; ${FETCH} "$archive" | zstd -q -d -c | tar -C "$here/images" -x
      restore "$here/images"`,
  },
  ...['none', 'auto', 'lz4'].map(
    (compress): RemoteWay => ({
      name: `mount, ${compress}`,
      compress,
      script: `${MOUNT} --prefetch none; ${RESTORE}`,
    }),
  ),
  {
    name: 'mount, auto, all',
    compress: 'auto',
    script: `${MOUNT} --prefetch all; ${RESTORE}`,
  },
  {
    name: 'mount, auto, profile',
    compress: 'auto',
    profile: 'eager',
    script: `${MOUNT} --prefetch "$profile"; ${RESTORE}`,
  },
  {
    name: 'mount, auto, warm',
    compress: 'auto',
    warm: true,
    script: `${MOUNT} --prefetch none; ${RESTORE}`,
  },
  {
    name: 'pull, auto',
    compress: 'auto',
    script: '"$ckptfs" pull --quiet "$encrypted" "$here/enc"; mount_image "$here/enc"; restore "$here/mnt"',
  },
  {
    name: 'archive, lazy-pages',
    script: `mkdir "$here/images"; ${FETCH} "$archive" | zstd -q -d -c | tar -C "$here/images" -x
      restore_lazily "$here/images"`,
  },
  { name: 'exec, auto, lazy-pages', compress: 'auto', script: `${EXEC} --prefetch none` },
  {
    name: 'exec, none, lazy-pages',
    compress: 'none',
    script: `${EXEC} --prefetch none`,
  },
  {
    name: 'exec, auto, lazy-pages, profile',
    compress: 'auto',
    profile: 'lazy',
    script: `${EXEC} --prefetch "$profile"`,
  },
  { name: 'exec, auto, lazy-pages, warm', compress: 'auto', warm: true, script: `${EXEC} --prefetch none` },
];

/** Records in which order a restore reads. */
export const RECORD = {
  eager: `${MOUNT} --prefetch none; restore "$here/mnt"; "$ckptfs" profile record "$here/mnt" --out "$profile" >/dev/null`,
  lazy: `${MOUNT} --prefetch none; restore_lazily "$here/mnt"; "$ckptfs" profile record "$here/mnt" --out "$profile" >/dev/null`,
} as const;
