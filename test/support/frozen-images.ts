import fs from 'node:fs';
import path from 'node:path';

/** The layout of test/images/v1: images made once and frozen, and damage done to them, see test/images/README.md. */

export const frozenRoot = path.join(import.meta.dirname, '..', 'images', 'v1');

/** What a file of a frozen image must be. Byte strings other than `path` are hexadecimal. */
export interface ListedFile {
  /** One character per byte (latin1), '/' between names; '' is the root. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'fifo' | 'socket';
  /** Octal. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970 and nanoseconds. */
  readonly atime: readonly [number, number];
  readonly mtime: readonly [number, number];
  readonly ctime: readonly [number, number];
  readonly links: number;
  readonly xattrs: Readonly<Record<string, string>>;
  readonly size?: number;
  readonly sha256?: string;
  readonly target?: string;
}

/** Leaves out times that cannot be the same: a ctime cannot be set, and reading may change an atime. */
export function without(files: readonly ListedFile[], ...times: readonly ('atime' | 'ctime')[]): Partial<ListedFile>[] {
  return files.map((file) => Object.fromEntries(Object.entries(file).filter(([key]) => !times.some((t) => t === key))));
}

/** One change to the files of an image; paths are relative to it. */
export type Change =
  | { readonly flip: string; readonly at: number; readonly bit: number }
  | { readonly truncate: string; readonly to: number }
  | { readonly append: string; readonly hex: string }
  | { readonly remove: string }
  /** Exchanges the bytes of two files from an offset on. */
  | { readonly swap: readonly [string, string]; readonly from: number }
  | { readonly copy: string; readonly to: string }
  /** Overwrites with a file that lies beside the recipe; without `at` that file takes the place. */
  | { readonly put: string; readonly bytes: string; readonly at?: number }
  | { readonly link: string; readonly target: string };

/** A fault as `verify` lists it. */
export interface ExpectedDamage {
  /** One character per byte. */
  readonly file?: string;
  readonly object: string;
  readonly chunk?: number;
  /** Part of the reason given. */
  readonly reason: string;
}

export interface Recipe {
  readonly description: string;
  /** Name of the folder of a good image. */
  readonly base: string;
  readonly changes: readonly Change[];
  /**
   * Either opening fails, or exactly these faults are found: their files give an error, all others read right. What is
   * no part of the image does no harm, and is only named.
   */
  readonly expected:
    | { readonly open: { readonly code: string; readonly message: string } }
    | { readonly damage: readonly ExpectedDamage[]; readonly unexpected?: readonly string[] };
}

/** Names those of the default suite by their ciphers, one of suite `fips`, and those that are compressed by how. */
export const imageNames = [
  'aes-256-xts',
  'aes-128-xts',
  'chacha20-poly1305',
  'none',
  'aes-256-gcm',
  'fips',
  'zstd',
  'lz4',
] as const;

/** An image with a signature of each kind, and in `trusted` by what to verify each of them. */
export const signedRoot = path.join(frozenRoot, 'signed');
/** The one file of that image: `filler` of its name and of 5,000 bytes. */
export const SIGNED_FILE = 'pages-1.img';

export function imageDirectory(name: string): string {
  return path.join(frozenRoot, name, 'image');
}

export function keyFile(bits: 128 | 192 | 256 = 256): string {
  return path.join(frozenRoot, `key-${bits}`);
}

export function listing(name: string): ListedFile[] {
  return JSON.parse(fs.readFileSync(path.join(frozenRoot, name, 'files.json'), 'utf8'));
}

/** Every recipe by its name. */
export function recipes(): ReadonlyMap<string, Recipe> {
  const folder = path.join(frozenRoot, 'damaged');
  const names = fs.readdirSync(folder).filter((file) => file.endsWith('.json'));
  return new Map(
    names.map((file) => [file.slice(0, -5), JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8')) as Recipe]),
  );
}

/** Copies a good image and does a recipe's damage to the copy. */
export function makeDamaged({ base, changes }: Recipe, destination: string): void {
  fs.cpSync(imageDirectory(base), destination, { recursive: true });
  for (const change of changes) apply(change, destination);
}

function apply(change: Change, image: string): void {
  const at = (file: string): string => path.join(image, file);
  if ('flip' in change) {
    const bytes = fs.readFileSync(at(change.flip));
    bytes.writeUInt8(bytes.readUInt8(change.at) ^ (1 << change.bit), change.at);
    fs.writeFileSync(at(change.flip), bytes);
  } else if ('truncate' in change) {
    if (fs.statSync(at(change.truncate)).size <= change.to) throw new Error('the recipe truncates nothing');
    fs.truncateSync(at(change.truncate), change.to);
  } else if ('append' in change) {
    fs.appendFileSync(at(change.append), Buffer.from(change.hex, 'hex'));
  } else if ('remove' in change) {
    fs.rmSync(at(change.remove));
  } else if ('swap' in change) {
    const [first, second] = change.swap.map((file) => fs.readFileSync(at(file))) as [Buffer, Buffer];
    const head = change.from;
    fs.writeFileSync(at(change.swap[0]), Buffer.concat([first.subarray(0, head), second.subarray(head)]));
    fs.writeFileSync(at(change.swap[1]), Buffer.concat([second.subarray(0, head), first.subarray(head)]));
  } else if ('copy' in change) {
    fs.mkdirSync(path.dirname(at(change.to)), { recursive: true });
    fs.copyFileSync(at(change.copy), at(change.to));
  } else if ('put' in change) {
    const bytes = fs.readFileSync(path.join(frozenRoot, 'damaged', change.bytes));
    const before = change.at === undefined ? Buffer.alloc(0) : fs.readFileSync(at(change.put));
    const start = change.at ?? 0;
    const after = before.subarray(start + bytes.length);
    fs.writeFileSync(at(change.put), Buffer.concat([before.subarray(0, start), bytes, after]));
  } else {
    fs.rmSync(at(change.link), { force: true });
    fs.symlinkSync(change.target, at(change.link));
  }
}
