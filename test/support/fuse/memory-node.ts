import { Errno } from '../../../src/base/errno.ts';
import type { Time } from '../../../src/base/time.ts';
import type { AttributeChanges, Attributes, Caller } from '../../../src/fuse/protocol/filesystem.ts';
import type { MemoryDirectory } from './memory-directory.ts';
import type { SparseContent } from './sparse-content.ts';

const permissions = 0o7777;
const setUserId = 0o4000;
const setGroupId = 0o2000;
const groupExecutes = 0o0010;
const statBlocksPerBlock = 8;

/** One file, directory or symbolic link of {@link WritableMemoryFileSystem}. */
export class MemoryNode {
  readonly number: number;
  /** As st_mode. */
  mode: number;
  uid: number;
  gid: number;
  atime: Time;
  mtime: Time;
  ctime: Time;
  /** How many names it has. */
  links = 0;
  /** How often the kernel was told of it and has not forgotten. */
  remembered = 0;
  readonly xattrs = new Map<string, Buffer>();
  readonly content: SparseContent | undefined;
  readonly target: Buffer | undefined;
  readonly names: MemoryDirectory | undefined;
  /** Defined for a directory. */
  parent: number;
  readonly #clock: () => Time;

  constructor(number: number, mode: number, { uid, gid }: Caller, clock: () => Time, rest: Partial<MemoryNode>) {
    this.#clock = clock;
    this.atime = this.mtime = this.ctime = clock();
    this.number = number;
    this.mode = mode;
    this.uid = uid;
    this.gid = gid;
    this.content = rest.content;
    this.target = rest.target;
    this.names = rest.names;
    this.parent = rest.parent ?? 0;
  }

  /** @throws Errno ENOTDIR */
  directory(): { readonly parent: number; readonly names: MemoryDirectory } {
    if (this.names === undefined) throw Errno.of('ENOTDIR');
    return { parent: this.parent, names: this.names };
  }

  touch(): void {
    this.mtime = this.ctime = this.#clock();
  }

  /** Applies changes; of a `size`, only its effect on the mtime. */
  change(changes: AttributeChanges): void {
    this.ctime = this.#clock();
    this.#apply(changes);
  }

  #apply({ mode, uid, gid, size, atime, mtime, killPrivileges }: AttributeChanges): void {
    if (mode !== undefined) this.mode = (this.mode & ~permissions) | mode;
    if (uid !== undefined) this.uid = uid;
    if (gid !== undefined) this.gid = gid;
    if (killPrivileges && this.names === undefined) {
      const group = (this.mode & groupExecutes) !== 0 ? setGroupId : 0;
      this.mode &= ~(setUserId | group);
    }
    if (atime !== undefined) this.atime = atime === 'now' ? this.#clock() : atime;
    if (mtime === 'now' || (mtime === undefined && size !== undefined)) this.touch();
    else if (mtime !== undefined) this.mtime = mtime;
  }

  attributes(): Attributes {
    return {
      node: this.number,
      mode: this.mode,
      size: this.content?.size ?? this.target?.length ?? 0,
      blocks: (this.content?.blocks ?? 0) * statBlocksPerBlock,
      links: this.links,
      uid: this.uid,
      gid: this.gid,
      atime: this.atime,
      mtime: this.mtime,
      ctime: this.ctime,
    };
  }
}

export function now(): Time {
  const milliseconds = Date.now();
  const seconds = Math.floor(milliseconds / 1000);
  return { seconds, nanoseconds: (milliseconds - seconds * 1000) * 1e6 };
}
