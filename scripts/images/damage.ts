import { Buffer } from 'node:buffer';
import fs from 'node:fs';
import path from 'node:path';
import type { Manifest } from '../../src/format/manifest.ts';
import type { Image } from '../../src/image/read/image.ts';
import type { ImageTree } from '../../src/image/read/tree.ts';
import type { ExpectedDamage, Recipe } from '../../test/support/frozen-images.ts';

/** What the recipes of damage are written with. */

export const BASE = 'aes-256-xts';
export const PAGE = 4096;
/** Where the first chunk of an object begins. */
export const FIRST_CHUNK = 2 * PAGE;

export interface Damage extends Omit<Recipe, 'base'> {
  /** Bytes that the changes put, by the name they lie under beside the recipe. */
  readonly files?: Readonly<Record<string, Uint8Array>>;
}

export interface OpenedBase {
  readonly directory: string;
  readonly image: Image;
  readonly tree: ImageTree;
}

/** The one object that holds a file's data. */
export class ObjectOfFile {
  readonly id: string;
  readonly index: number;
  /** In the image's directory. */
  readonly path: string;
  readonly chunks: number;
  readonly bytes: Buffer;
  /** Files with data in it; one character per byte, the first name of each. */
  readonly files: readonly string[];
  /** The chunk the file begins in. */
  readonly chunk: number;
  /** Files with data in a chunk, or in one sector of it. */
  readonly filesIn: (chunk: number, sector?: number) => readonly string[];

  constructor({ directory, image, tree }: OpenedBase, file: string) {
    const inode = tree.inode(tree.resolve(Buffer.from(file, 'latin1')));
    const extent = inode?.type === 'file' ? inode.extents[0] : undefined;
    if (extent === undefined) throw new Error(`${file} has no object`);
    const { objects, inodes } = image.manifest;
    const { chunkSize } = image.header;
    const object = objects[extent.object] as Manifest['objects'][number];
    this.index = extent.object;
    this.id = object.id.toString('hex');
    this.path = `objects/${this.id.slice(0, 2)}/${this.id}`;
    this.chunks = object.chunks;
    this.bytes = fs.readFileSync(path.join(directory, this.path));
    this.chunk = Math.floor(extent.objectOffset / chunkSize);
    const filesWhere = (holds: (start: number, end: number) => boolean): string[] =>
      inodes.flatMap((other, at) => {
        if (other.type !== 'file') return [];
        const hit = other.extents.some(
          (e) => e.object === extent.object && holds(e.objectOffset, e.objectOffset + e.length),
        );
        return hit ? [tree.pathOf(at + 1).toString('latin1')] : [];
      });
    this.files = filesWhere(() => true);
    this.filesIn = (chunk, sector) => {
      const first = chunk * chunkSize + (sector ?? 0) * PAGE;
      const past = sector === undefined ? first + chunkSize : first + PAGE;
      return filesWhere((start, end) => start < past && end > first);
    };
  }

  /** The object as a whole is refused. */
  lost(reason: string): ExpectedDamage[] {
    return this.files.map((file) => ({ file, object: this.id, reason }));
  }

  /** A chunk is refused. */
  lostChunk(chunk: number, reason: string): ExpectedDamage[] {
    return this.filesIn(chunk).map((file) => ({ file, object: this.id, chunk, reason }));
  }

  /** A sector of a chunk is refused. */
  lostSector(chunk: number, sector: number, reason: string): ExpectedDamage[] {
    return this.filesIn(chunk, sector).map((file) => ({ file, object: this.id, chunk, reason }));
  }

  /** Every chunk is refused, each on its own. */
  lostChunks(reason: string): ExpectedDamage[] {
    return Array.from({ length: this.chunks }, (_, chunk) => this.lostChunk(chunk, reason)).flat();
  }
}

export function refused(description: string, code: string, message: string, changes: Recipe['changes']): Damage {
  return { description, changes, expected: { open: { code, message } } };
}

export function damaged(
  description: string,
  changes: Recipe['changes'],
  damage: readonly ExpectedDamage[],
  files: Damage['files'] = {},
): Damage {
  return { description, changes, expected: { damage }, files };
}

/** Damage, or none, beside which something is that is no part of the image. @param names paths in the image */
export function beside(
  description: string,
  changes: Recipe['changes'],
  damage: readonly ExpectedDamage[],
  unexpected: readonly string[],
): Damage {
  return { description, changes, expected: { damage, unexpected }, files: {} };
}
