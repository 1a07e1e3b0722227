/** A house: a folder directly below src, or image/writable, which is large enough to be one. */
export interface House {
  /** The houses, or single files of theirs, that its files may import. Of a house that has doors, only those. */
  readonly imports: readonly string[];
  /** The files that other houses may import. Where there is no list, all of them. */
  readonly doors?: readonly string[];
  /** Its folders, '.' for the files at its top, and the other folders of the house that each may import. */
  readonly rooms?: Readonly<Record<string, readonly string[]>>;
}

/** The map of src. The tables of docs/design.md §2 must say the same. */
export const HOUSES: Readonly<Record<string, House>> = {
  base: { imports: [], rooms: { '.': [], linux: ['.'] } },
  format: { imports: ['base'] },
  crypto: { imports: ['base', 'format'] },
  keys: { imports: ['base', 'crypto', 'format'] },
  stores: { imports: ['base'] },
  fuse: {
    imports: ['base'],
    doors: [
      'device/connection.ts',
      'device/device-loop.ts',
      'device/event-loop.ts',
      'mount/mount-kernel.ts',
      'mount/mount-point.ts',
      'mount/mount-trial.ts',
      'mount/mountinfo.ts',
      'mount/reachable.ts',
      'native/native-transport.ts',
      'protocol/abi.ts',
      'protocol/counters.ts',
      'protocol/filesystem.ts',
      'uring/queues.ts',
      'uring/ring-agreement.ts',
      'uring/serve-rings.ts',
      'uring/switch.ts',
    ],
    rooms: {
      protocol: [],
      ops: ['protocol'],
      device: ['ops', 'protocol'],
      mount: ['device', 'protocol'],
      native: ['device', 'mount', 'protocol'],
      uring: ['device', 'protocol'],
    },
  },
  image: {
    imports: ['base', 'crypto', 'format', 'stores'],
    doors: [
      'create/create.ts',
      'create/manifest-file.ts',
      'create/new-header.ts',
      'discard-image.ts',
      'extract/extract.ts',
      'objects/image-context.ts',
      'objects/nonces.ts',
      'objects/object-sealer.ts',
      'objects/open-object.ts',
      'outside/losses.ts',
      'read/describe.ts',
      'read/extents.ts',
      'read/image-reader.ts',
      'read/image.ts',
      'read/object-reader.ts',
      'read/tree.ts',
      'run-image-worker.ts',
      'verify/coverage.ts',
      'verify/verify.ts',
      'workers/worker-pool.ts',
    ],
    rooms: {
      objects: [],
      outside: [],
      workers: [],
      read: ['objects'],
      create: ['objects', 'outside', 'workers'],
      extract: ['outside', 'read', 'workers'],
      verify: ['read', 'workers'],
      '.': ['create', 'extract', 'verify', 'workers'],
    },
  },
  'image/writable': {
    imports: ['base', 'crypto', 'format', 'stores', 'image'],
    doors: ['begin-image.ts', 'close-unsealed.ts', 'model/live-inode.ts', 'open-writable.ts', 'writable-image.ts'],
    rooms: {
      model: [],
      objects: ['model'],
      journal: ['model'],
      content: ['model', 'objects'],
      commit: ['content', 'journal', 'model', 'objects'],
      recovery: ['journal', 'model', 'objects'],
      '.': ['commit', 'content', 'journal', 'model', 'objects', 'recovery'],
    },
  },
  fs: {
    imports: ['base', 'crypto/locked-pages.ts', 'format', 'image', 'image/writable', 'fuse/protocol/filesystem.ts'],
  },
  serve: {
    imports: ['base', 'crypto', 'format', 'stores', 'image', 'image/writable', 'keys', 'fuse', 'fs'],
    doors: [
      'control/control-messages.ts',
      'control/status.ts',
      'control/umount.ts',
      'daemon/run-daemon.ts',
      'daemon/run-mount-trial.ts',
      'handover/daemon-config.ts',
      'launch/checked-options.ts',
      'launch/daemon-process.ts',
      'launch/exec.ts',
      'launch/foreground.ts',
      'launch/fuse-options.ts',
      'launch/mount-trial.ts',
      'launch/mount.ts',
      'launch/remount.ts',
      'thread/run-serving-thread.ts',
    ],
    // The folder says which process runs a file: launch and control the command's, daemon the daemon's, thread its
    // serving threads', handover and mounts several of them.
    rooms: {
      mounts: [],
      handover: ['mounts'],
      control: ['mounts'],
      launch: ['control', 'handover', 'mounts'],
      thread: [],
      daemon: ['control', 'handover', 'mounts', 'thread'],
    },
  },
  library: { imports: ['base', 'crypto/secret.ts', 'format', 'stores', 'image', 'image/writable', 'keys'] },
  cli: {
    imports: [
      'base',
      'crypto/hardening.ts',
      'crypto/secret.ts',
      'crypto/select.ts',
      'format',
      'fuse/mount/reachable.ts',
      'fuse/uring/switch.ts',
      'image',
      'image/writable',
      'keys',
      'library',
      'serve',
    ],
    doors: ['hints.ts', 'main.ts'],
    rooms: {
      '.': ['commands', 'options', 'terminal', 'words'],
      words: ['.'],
      terminal: ['.'],
      options: ['.', 'terminal'],
      doctor: ['.', 'terminal'],
      commands: ['.', 'doctor', 'options', 'terminal', 'words'],
    },
  },
  programs: {
    imports: ['cli/hints.ts', 'cli/main.ts', 'image/run-image-worker.ts', 'serve'],
    doors: [],
  },
};
