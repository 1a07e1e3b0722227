import type { ArchiveReader } from '../archive/archive-reader.ts';
import type { Member } from '../archive/member.ts';
import { memberPath } from '../archive/member-path.ts';
import { refusedArchive, refusedMember, shownName } from '../archive/refused.ts';
import { Errno } from '../base/errno.ts';
import type { CkptfsError } from '../base/errors.ts';
import { Region } from '../base/linux/native.ts';
import { printableName } from '../base/printable.ts';
import { wipe } from '../base/wipe.ts';
import { ROOT_INODE } from '../format/manifest.ts';
import type { CreatedImage } from '../image/create/create.ts';
import { Losses, MAX_PATH_SHOWN } from '../image/outside/losses.ts';
import type { WritableImage } from '../image/writable/writable-image.ts';
import { ownRoot } from './new-image.ts';

/** Bytes that are written at once. */
const STEP = 1 << 20;
/** Bytes of what is in memory as long as the image is written: names, attributes, and what else there is of a file. */
const MAX_METADATA_BYTES = 1 << 30;
/** As measured: what an empty file takes, with its name in the maps of the tree and of the journal. */
const INODE_BYTES = 1536;
const RANGE_BYTES = 64;
/** The mode of a directory that has no member of its own. */
const DIRECTORY_MODE = 0o700;

/**
 * Makes the members of an archive in a new image, under the rules by which no member is outside of the tree, below what
 * is no directory, or in the place of another one.
 */
export class ArchiveTree {
  readonly #archive: string;
  readonly #image: WritableImage;
  readonly #skipSpecial: boolean;
  readonly #buffer = new Region(STEP);
  readonly #losses = new Losses();
  readonly #skipped: string[] = [];
  /** Directories that were made because something in them has a member, and that may have one themselves. */
  readonly #implied = new Set<number>([ROOT_INODE]);
  /** What directories are to have, when nothing changes their times any more. */
  readonly #directories = new Map<number, Member>();
  #metadataBytes = 0;
  #files = 0;
  #bytes = 0;

  /** @param archive its name in messages */
  constructor(archive: string, image: WritableImage, skipSpecial: boolean) {
    this.#archive = archive;
    this.#image = image;
    this.#skipSpecial = skipSpecial;
  }

  /** Makes everything. @throws CkptfsError `unsupported-source`, `io`; what the reader throws */
  async fill(reader: ArchiveReader): Promise<Omit<CreatedImage, 'imageId'>> {
    try {
      for (let member = await reader.next(); member !== undefined; member = await reader.next()) {
        await this.#addOrRefuse(member, reader);
      }
    } finally {
      wipe(this.#buffer.bytes);
    }
    for (const [number, { mode, mtime, atime }] of this.#directories) {
      this.#image.setMetadata(number, { mode, mtime, atime });
    }
    const losses = this.#losses.list();
    return { files: this.#files, bytes: this.#bytes, skipped: this.#skipped, losses };
  }

  /** @throws CkptfsError `unsupported-source` for what no image can have */
  async #addOrRefuse(member: Member, reader: ArchiveReader): Promise<void> {
    try {
      await this.#add(member, reader);
    } catch (cause) {
      if (!(cause instanceof Errno)) throw cause;
      throw this.#refused(member, 'unrepresentable', `cannot be in an image: ${cause.code}`);
    }
  }

  async #add(member: Member, reader: ArchiveReader): Promise<void> {
    this.#count(member);
    if (member.type === 'device') return this.#skip(member);
    const number = this.#make(member);
    if (member.type === 'link') return;
    if (member.type === 'file') await this.#write(number, member, reader);
    this.#keepAttributes(number, member);
    const { mode, mtime, atime } = member;
    if (member.type === 'directory') this.#directories.set(number, member);
    else this.#image.setMetadata(number, member.type === 'symlink' ? { mtime, atime } : { mode, mtime, atime });
  }

  /** @returns the number of the inode */
  #make(member: Member): number {
    const { type, path, mode, uid, gid, target } = member;
    const name = path.at(-1);
    if (name === undefined) return this.#claimDirectory(ROOT_INODE, member);
    const parent = this.#directory(member, path.slice(0, -1));
    const known = this.#image.lookup(parent, name);
    if (known !== undefined) return this.#claimDirectory(known, member);
    const made = { mode, uid, gid };
    switch (type) {
      case 'directory':
        return this.#image.mkdir(parent, name, made);
      case 'symlink':
        return this.#image.symlink(parent, name, target, made);
      case 'fifo':
        return this.#image.mknod(parent, name, 'fifo', made);
      case 'link': {
        const linked = this.#linked(member);
        this.#image.link(linked, parent, name);
        return linked;
      }
      default:
        return this.#image.create(parent, name, made);
    }
  }

  /** Gives a directory that is there already its own member. */
  #claimDirectory(number: number, member: Member): number {
    if (member.type !== 'directory' || !this.#implied.delete(number)) {
      throw this.#refused(member, 'unsafe-member', 'is there more than once');
    }
    const { uid, gid } = member;
    this.#image.setMetadata(number, { uid, gid });
    return number;
  }

  /** Returns the directory of a member, and makes what is missing. */
  #directory(member: Member, names: readonly Buffer[]): number {
    let number = ROOT_INODE;
    for (const name of names) {
      const known = this.#image.lookup(number, name);
      if (known === undefined) {
        number = this.#image.mkdir(number, name, { ...ownRoot(), mode: DIRECTORY_MODE });
        this.#implied.add(number);
        this.#addMetadata(INODE_BYTES + name.length);
      } else number = known;
      const type = this.#image.inode(number)?.type;
      if (type !== 'directory') throw this.#refused(member, 'unsafe-member', `is below a ${type}`);
    }
    return number;
  }

  /** Returns what a hard link gives another name. */
  #linked(member: Member): number {
    const { names } = memberPath(this.#archive, member.name, member.target, 'is a hard link to what ');
    let number: number | undefined = ROOT_INODE;
    for (const name of names) {
      const isDirectory: boolean = number !== undefined && this.#image.inode(number)?.type === 'directory';
      number = isDirectory && number !== undefined ? this.#image.lookup(number, name) : undefined;
    }
    const type = number === undefined ? undefined : this.#image.inode(number)?.type;
    if (number !== undefined && type !== undefined && type !== 'directory') return number;
    const what = type === undefined ? 'which is not before it in the archive' : 'which is a directory';
    throw this.#refused(member, 'unsafe-member', `is a hard link to ${shownName(member.target)}, ${what}`);
  }

  async #write(number: number, { size, ranges }: Member, reader: ArchiveReader): Promise<void> {
    for (const { start, length } of ranges) {
      for (let done = 0; done < length; ) {
        const count = await reader.read(this.#buffer.bytes.subarray(0, Math.min(STEP, length - done)));
        this.#image.write(number, start + done, count, this.#buffer, 0);
        done += count;
      }
    }
    this.#image.extend(number, size);
    this.#image.unstored.closed(number);
    this.#files++;
    this.#bytes += size;
  }

  #keepAttributes(number: number, { type, xattrs, hasOtherAttributes, name }: Member): void {
    const canHave = type === 'file' || type === 'directory';
    if (canHave) for (const each of xattrs) this.#image.setxattr(number, each.name, each.value, 'any');
    if (hasOtherAttributes || (!canHave && xattrs.length > 0)) {
      this.#losses.add('attributes', () => name.toString(), 'EOPNOTSUPP');
    }
  }

  #skip(member: Member): void {
    if (!this.#skipSpecial) throw this.#refused(member, 'device', 'is a device, which an image cannot hold');
    this.#skipped.push(printableName(member.name, MAX_PATH_SHOWN));
  }

  /** Keeps within bounds what the image needs in memory. */
  #count({ name, target, xattrs, ranges }: Member): void {
    const attributes = xattrs.reduce((sum, each) => sum + each.name.length + each.value.length, 0);
    this.#addMetadata(INODE_BYTES + name.length + target.length + attributes + ranges.length * RANGE_BYTES);
  }

  #addMetadata(bytes: number): void {
    this.#metadataBytes += bytes;
    if (this.#metadataBytes <= MAX_METADATA_BYTES) return;
    const message = `has too many members: an image would need more than ${MAX_METADATA_BYTES} bytes of memory for them`;
    throw refusedArchive(this.#archive, 'too-large', message);
  }

  #refused(member: Member, reason: Parameters<typeof refusedMember>[2], message: string): CkptfsError {
    return refusedMember(this.#archive, member.name, reason, message);
  }
}
