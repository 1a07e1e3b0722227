import { createHash } from 'node:crypto';
import { Errno } from '../../../../src/base/errno.ts';
import { Region } from '../../../../src/base/linux/native.ts';
import type { Secret } from '../../../../src/crypto/secret.ts';
import type { CipherName } from '../../../../src/format/ciphers.ts';
import type { CompressionName } from '../../../../src/format/compressions.ts';
import type { Header } from '../../../../src/format/header.ts';
import type { SuiteName } from '../../../../src/format/suites.ts';
import { openImage } from '../../../../src/image/read/image.ts';
import { ImageReader } from '../../../../src/image/read/image-reader.ts';
import { ImageTree } from '../../../../src/image/read/tree.ts';
import { beginImage } from '../../../../src/image/writable/begin-image.ts';
import { openWritable, type WritableOptions } from '../../../../src/image/writable/open-writable.ts';
import type { WritableImage } from '../../../../src/image/writable/writable-image.ts';
import { readWhole } from '../../../support/image-content.ts';
import { RecordingStore } from '../../../support/recording-store.ts';
import type { Operation } from './operations.ts';
import * as model from './tree-model.ts';

const owner = { mode: 0o640, uid: 7, gid: 8 };

export interface BegunImage {
  readonly store: RecordingStore;
  readonly header: Header;
  readonly imageKey: Secret;
}

/** A key wrapped by AES-KW, as every suite may have. */
const SLOT_HEADER = Buffer.from('{"alg":"A256KW"}').toString('base64url');

/** A new image in memory, unsealed and empty. */
export async function newImage(
  cipher: CipherName,
  chunkSize: number,
  suite?: SuiteName,
  compression?: CompressionName,
): Promise<BegunImage> {
  const store = new RecordingStore();
  const slot = { protected: SLOT_HEADER, encrypted_key: 'AA', iv: 'AA', ciphertext: 'AA', tag: 'AA' };
  const makeSlots = (): Promise<(typeof slot)[]> => Promise.resolve([slot]);
  const root = { mode: 0o755, uid: 0, gid: 0 };
  const made = suite === undefined ? {} : { suite };
  const begun = await beginImage(store, { makeSlots, root, ...made, cipher, chunkSize, compression });
  return { store, ...begun };
}

/** The bytes that a write of this seed writes. */
export function patternBytes(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = ((seed * 31 + at * 7 + (at >>> 8) * 13) % 255) + 1;
  return bytes;
}

/** An image being written and, beside it, what must come of it. */
export class Session {
  readonly root: model.DirectoryModel;
  image: WritableImage;
  store: RecordingStore;
  /** Files that were open when their last name went. */
  readonly nameless = new Map<model.FileModel, number>();
  isOpen = false;
  readonly #begun: BegunImage;
  readonly #options: WritableOptions;

  /** @param root what the image holds already */
  constructor(begun: BegunImage, options: WritableOptions = {}, root = model.emptyDirectory()) {
    this.root = root;
    this.#begun = begun;
    this.#options = options;
    this.store = begun.store;
    this.image = this.#open();
  }

  /** Does one operation to both. */
  apply(operation: Operation): void {
    const { image } = this;
    switch (operation.kind) {
      case 'create':
      case 'mkdir':
      case 'symlink':
      case 'fifo':
      case 'socket':
        this.#make(operation.kind, operation.directory, operation.name);
        break;
      case 'link': {
        const [file, number] = this.#file(operation.file);
        const [directory, parent] = this.#directory(operation.directory);
        if (file === undefined) break;
        const link = (): void => image.link(number, parent, bytesOf(operation.name));
        if (file.names === 0 || directory.children.has(operation.name)) {
          expectRefused(file.names === 0 ? 'ENOENT' : 'EEXIST', link);
          break;
        }
        link();
        directory.children.set(operation.name, file);
        file.names++;
        break;
      }
      case 'remove':
        this.#remove(operation.entry, operation.keepOpen);
        break;
      case 'rename':
        this.#rename(operation.entry, operation.directory, operation.name, operation.how);
        break;
      case 'write': {
        const [file, number] = this.#file(operation.file);
        if (file === undefined) break;
        const bytes = patternBytes(operation.seed, operation.length);
        image.write(number, operation.offset, bytes.length, new Region(Buffer.concat([Buffer.alloc(3), bytes])), 3);
        model.write(file, operation.offset, bytes);
        break;
      }
      case 'truncate': {
        const [file, number] = this.#file(operation.file);
        if (file === undefined) break;
        image.truncate(number, operation.size);
        model.resize(file, operation.size);
        break;
      }
      case 'punch': {
        const [file, number] = this.#file(operation.file);
        if (file === undefined) break;
        image.punch(number, operation.offset, operation.length);
        model.punch(file, operation.offset, operation.length);
        break;
      }
      case 'commit':
        image.commit();
        break;
      case 'sync':
        image.sync();
        break;
      case 'reopen':
        image.commit();
        this.close();
        this.nameless.clear();
        this.image = this.#open();
        break;
      case 'seal':
        for (const number of this.nameless.values()) image.release(number);
        this.nameless.clear();
        image.seal();
        this.close();
        this.image = this.#open();
        break;
      case 'release':
        for (const number of this.nameless.values()) image.release(number);
        this.nameless.clear();
        break;
    }
  }

  /** Throws when the image is not what it must be. */
  check(): void {
    const found = describeImage(this.image);
    const expected = describeModel(this.root);
    if (found !== expected) throw new Error(`image:\n${found}\nmust be:\n${expected}`);
    for (const [file, number] of [...this.nameless, ...this.#files()]) this.#checkFile(file, number);
  }

  /** Does nothing when it is closed. */
  close(): void {
    if (this.isOpen) this.image.close();
    this.isOpen = false;
  }

  #open(): WritableImage {
    const { header, imageKey } = this.#begun;
    const options = { cacheSize: 1 << 18, poolSize: 1 << 18, ...this.#options };
    const image = openWritable(this.store, header, imageKey, options);
    this.isOpen = true;
    return image;
  }

  #checkFile(file: model.FileModel, number: number): void {
    const content = readAll(this.image, number);
    if (!content.equals(file.bytes)) throw new Error(`inode ${number} has other bytes`);
    const inode = this.image.inode(number);
    if (inode?.type !== 'file') throw new Error('no file');
    const expected = model.dataSectors(file) * 4096;
    if (inode.dataBytes !== expected) {
      throw new Error(`inode ${number}: ${inode.dataBytes} data bytes, not ${expected}`);
    }
    for (let offset = 0; offset < file.bytes.length + 5000; offset += 3001) {
      for (const whence of ['data', 'hole'] as const) {
        const wanted = model.seek(file, offset, whence);
        const got = this.image.seek(number, offset, whence);
        if (got !== wanted) throw new Error(`inode ${number}: ${whence} at ${offset}: ${got}, not ${wanted}`);
      }
    }
  }

  #make(kind: 'create' | 'mkdir' | 'symlink' | 'fifo' | 'socket', at: number, name: string): void {
    const [directory, parent] = this.#directory(at);
    const key = bytesOf(name);
    if (directory.children.has(name)) {
      expectRefused('EEXIST', () => this.image.create(parent, key, owner));
    } else if (kind === 'create') {
      this.image.create(parent, key, owner);
      directory.children.set(name, model.emptyFile());
    } else if (kind === 'mkdir') {
      this.image.mkdir(parent, key, owner);
      directory.children.set(name, model.emptyDirectory());
    } else if (kind !== 'symlink') {
      this.image.mknod(parent, key, kind, owner);
      directory.children.set(name, { type: kind });
    } else {
      this.image.symlink(parent, key, Buffer.from(`to-${name}`), owner);
      directory.children.set(name, { type: 'symlink', target: `to-${name}` });
    }
  }

  #remove(at: number, keepOpen: boolean): void {
    const entry = this.#entry(at);
    if (entry === undefined) return;
    const { directory, parent, name, node, number } = entry;
    const key = bytesOf(name);
    if (node.type === 'directory') {
      expectRefused('EISDIR', () => this.image.unlink(parent, key));
      if (node.children.size > 0) {
        expectRefused('ENOTEMPTY', () => this.image.rmdir(parent, key));
        return;
      }
      this.image.rmdir(parent, key);
    } else {
      expectRefused('ENOTDIR', () => this.image.rmdir(parent, key));
      this.image.unlink(parent, key);
    }
    directory.children.delete(name);
    this.#gone(node, number, keepOpen);
  }

  #rename(at: number, to: number, newName: string, how: 'replace' | 'no-replace' | 'exchange'): void {
    const entry = this.#entry(at);
    if (entry === undefined) return;
    const { directory, parent, name, node } = entry;
    const [target, newParent] = this.#directory(to);
    const other = target.children.get(newName);
    const otherNumber = other === undefined ? 0 : (this.image.lookup(newParent, bytesOf(newName)) as number);
    const rename = (): void => this.image.rename(parent, bytesOf(name), newParent, bytesOf(newName), how);
    if (other !== undefined && how === 'no-replace') {
      expectRefused('EEXIST', rename);
      return;
    }
    if (other === undefined && how === 'exchange') {
      expectRefused('ENOENT', rename);
      return;
    }
    if (isWithin(target, node)) {
      expectRefused('EINVAL', rename);
      return;
    }
    if (other === node) {
      rename();
      return;
    }
    if (how === 'exchange') {
      if (isWithin(directory, other as model.NodeModel)) {
        expectRefused('EINVAL', rename);
        return;
      }
      rename();
      directory.children.set(name, other as model.NodeModel);
      target.children.set(newName, node);
      return;
    }
    if (other?.type === 'directory' && node.type !== 'directory') {
      expectRefused('EISDIR', rename);
      return;
    }
    if (other !== undefined && other.type !== 'directory' && node.type === 'directory') {
      expectRefused('ENOTDIR', rename);
      return;
    }
    if (other?.type === 'directory' && other.children.size > 0) {
      expectRefused('ENOTEMPTY', rename);
      return;
    }
    rename();
    directory.children.delete(name);
    target.children.set(newName, node);
    if (other !== undefined) this.#gone(other, otherNumber, false);
  }

  /** A name of a node went. */
  #gone(node: model.NodeModel, number: number, keepOpen: boolean): void {
    if (node.type === 'file') {
      node.names--;
      if (node.names > 0) return;
      if (keepOpen) {
        this.nameless.set(node, number);
        return;
      }
    }
    this.image.release(number);
  }

  /** All entries of the tree, in a fixed order. */
  #entries(): {
    directory: model.DirectoryModel;
    parent: number;
    name: string;
    node: model.NodeModel;
    number: number;
  }[] {
    const all: ReturnType<Session['all']> = [];
    const visit = (directory: model.DirectoryModel, parent: number): void => {
      for (const [name, node] of directory.children) {
        const number = this.image.lookup(parent, bytesOf(name));
        if (number === undefined) throw new Error(`no ${name}`);
        all.push({ directory, parent, name, node, number });
        if (node.type === 'directory') visit(node, number);
      }
    };
    visit(this.root, 1);
    return all;
  }

  all(): { directory: model.DirectoryModel; parent: number; name: string; node: model.NodeModel; number: number }[] {
    return this.#entries();
  }

  #files(): [model.FileModel, number][] {
    return this.#entries().flatMap(({ node, number }) => (node.type === 'file' ? [[node, number]] : []));
  }

  #entry(at: number): ReturnType<Session['all']>[number] | undefined {
    const entries = this.#entries();
    return entries[at % Math.max(1, entries.length)];
  }

  #file(at: number): readonly [model.FileModel | undefined, number] {
    const files: [model.FileModel, number][] = [...this.#files(), ...this.nameless];
    return files[at % Math.max(1, files.length)] ?? [undefined, 0];
  }

  #directory(at: number): readonly [model.DirectoryModel, number] {
    const directories: [model.DirectoryModel, number][] = [[this.root, 1]];
    for (const { node, number } of this.#entries()) if (node.type === 'directory') directories.push([node, number]);
    return directories[at % directories.length] as [model.DirectoryModel, number];
  }
}

/** A tree of an image as {@link model.describe} has it. */
export function describeImage(image: WritableImage): string {
  const nodes = new Map<number, model.NodeModel>();
  const toModel = (number: number): model.NodeModel => {
    const inode = image.inode(number);
    const known = nodes.get(number);
    if (known !== undefined) return known;
    if (inode === undefined) throw new Error(`no inode ${number}`);
    if (inode.type === 'symlink') return { type: 'symlink', target: inode.target.toString('latin1') };
    if (inode.type === 'fifo' || inode.type === 'socket') return { type: inode.type };
    if (inode.type === 'file') {
      const file = { ...model.emptyFile(), bytes: readAll(image, number) };
      nodes.set(number, file);
      return file;
    }
    const directory = model.emptyDirectory();
    for (let serial = Number.POSITIVE_INFINITY; ; ) {
      const child = image.nameBefore(number, serial);
      if (child === undefined) return directory;
      directory.children.set(child.name.toString('latin1'), toModel(child.inode));
      serial = child.serial;
    }
  };
  return model.describe(toModel(1) as model.DirectoryModel, contentOf);
}

/** What a sealed image holds, as its readers see it. */
export function modelOfSealed({ store, header, imageKey }: BegunImage): model.DirectoryModel {
  const image = openImage(store, header, imageKey);
  const tree = new ImageTree(image.manifest);
  const reader = new ImageReader(image);
  const files = new Map<number, model.FileModel>();
  const meetings = new Map<number, model.MeetingModel>();
  const nodeOf = (number: number): model.NodeModel => {
    const inode = tree.inode(number);
    if (inode?.type === 'symlink') return { type: 'symlink', target: inode.target.toString('latin1') };
    if (inode?.type === 'fifo' || inode?.type === 'socket') {
      const meeting = meetings.get(number) ?? { type: inode.type };
      meetings.set(number, meeting);
      return meeting;
    }
    if (inode?.type === 'file') {
      const file = files.get(number) ?? { ...model.emptyFile(), names: 0 };
      file.bytes = readWhole(reader, inode);
      file.sectors = Array.from({ length: Math.ceil(inode.size / 4096) }, () => false);
      for (const { fileOffset, length } of inode.extents) {
        const last = Math.floor((fileOffset + length - 1) / 4096);
        for (let sector = Math.floor(fileOffset / 4096); sector <= last; sector++) file.sectors[sector] = true;
      }
      file.names++;
      files.set(number, file);
      return file;
    }
    const directory = model.emptyDirectory();
    for (let at = 0, child = tree.child(number, 0); child !== undefined; child = tree.child(number, ++at)) {
      directory.children.set(child.name.toString('latin1'), nodeOf(child.inode));
    }
    return directory;
  };
  const root = nodeOf(1) as model.DirectoryModel;
  reader.close();
  return root;
}

export function describeModel(root: model.DirectoryModel): string {
  return model.describe(root, contentOf);
}

function contentOf({ bytes }: model.FileModel): string {
  return `${bytes.length} ${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;
}

export function readAll(image: WritableImage, number: number): Buffer {
  const inode = image.inode(number);
  const size = inode?.type === 'file' ? inode.size : 0;
  const out = new Region(size + 1);
  const count = image.read(number, 0, size + 1, out, 0);
  if (count !== size) throw new Error(`${count} bytes of ${size}`);
  return out.bytes.subarray(0, size);
}

/** A name of the model, one character per byte. */
function bytesOf(name: string): Buffer {
  return Buffer.from(name, 'latin1');
}

function isWithin(directory: model.DirectoryModel, node: model.NodeModel): boolean {
  if (directory === node) return true;
  if (node.type !== 'directory') return false;
  return [...node.children.values()].some((child) => isWithin(directory, child));
}

function expectRefused(code: string, action: () => unknown): void {
  try {
    action();
  } catch (error) {
    if (error instanceof Errno && error.code === code) return;
    throw error;
  }
  throw new Error(`not refused with ${code}`);
}
