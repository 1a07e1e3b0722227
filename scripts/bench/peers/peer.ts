import type { Command } from '../../lib/commands.ts';

/** A file system that is mounted right now. */
export interface Mount {
  /** Where its files are read. */
  readonly path: string;
  /** The process that serves it, where there is one. */
  readonly pid: number | undefined;
  /** Resolves when that process has ended. */
  unmount(): Promise<void>;
}

/** Keeps directories in its own form, and mounts them. */
export interface MountPeer {
  readonly name: string;
  readonly version: string;
  /** Names the form of its stores: peers of the same form read each other's. */
  readonly form: string;
  /** Brings directory `source` into its form at `target`, which does not exist yet; returns what to mount. */
  store(source: string, target: string): Promise<string>;
  /** Resolves when files can be read at `mountPoint`, an empty directory. */
  mount(store: string, mountPoint: string): Promise<Mount>;
}

/** Makes new stores, and takes what is written into their mounts. */
export interface WritePeer extends MountPeer {
  /** Makes an empty store at `store`, which does not exist yet, and mounts it writable at the empty `mountPoint`. */
  mountNew(store: string, mountPoint: string): Promise<Mount>;
}

/** Encrypts a directory as a whole, and decrypts it again: commands as a user would type them. */
export interface Converter {
  readonly name: string;
  readonly version: string;
  /** `target` does not exist yet. */
  encrypt(source: string, target: string): Command;
  /** `target` is an empty directory. */
  decrypt(encrypted: string, target: string): Command;
}

/** How a peer is found on this machine. */
export interface PeerKind<T> {
  readonly name: string;
  /** The Debian packages that bring it. */
  readonly packages: readonly string[];
  /**
   * @param workshop an empty directory for its keys and what has to be compiled
   * @throws Error when it is not on this machine
   */
  open(workshop: string): Promise<T>;
}
