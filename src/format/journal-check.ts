import { type Geometry, MAX_CHUNKS } from './geometry.ts';
import { checkExtentOrder, checkInode, checkName, checkObject, isU32, require } from './inode-check.ts';
import type { ChunksEntry, JournalEntry, JournalObject } from './journal.ts';
import { type Extent, ID_SIZE, ROOT_INODE } from './manifest.ts';
import { isRecordWellFormed } from './record.ts';

/**
 * Checks an entry against every rule of format.md §8 that needs no other frame.
 * @param at its index in the frame, from 0
 * @param first the frame's first entry, if that is another one
 * @throws MalformedError
 */
export function checkEntry(entry: JournalEntry, at: number, first: JournalEntry | undefined, geometry: Geometry): void {
  switch (entry.kind) {
    case 'base':
      require(at === 0, 'base that is not the first entry');
      require(Number.isSafeInteger(entry.epoch) && entry.epoch >= 0, 'epoch out of range');
      break;
    case 'barrier':
      require(at === 0 || (at === 1 && first?.kind === 'base'), 'barrier after other entries');
      break;
    case 'object':
      checkJournalObject(entry, geometry);
      break;
    case 'inode':
      checkNumber(entry.inode);
      checkInode(entry.value);
      require(entry.inode !== ROOT_INODE || entry.value.type === 'directory', 'root that is no directory');
      break;
    case 'gone':
      checkNumber(entry.inode);
      require(entry.inode !== ROOT_INODE, 'root that is gone');
      break;
    case 'name':
      checkNumber(entry.parent);
      checkNumber(entry.inode);
      require(entry.inode !== ROOT_INODE, 'name of the root');
      checkName(entry.name);
      break;
    case 'unname':
      checkNumber(entry.parent);
      checkName(entry.name);
      break;
    case 'extents':
      checkNumber(entry.inode);
      checkExtents(entry.extents);
      break;
    case 'chunks':
      checkNumber(entry.inode);
      checkChunks(entry, geometry);
      break;
    case 'holes':
      checkNumber(entry.inode);
      checkRun(entry.fileChunk, entry.count);
  }
}

function checkNumber(inode: number): void {
  require(isU32(inode) && inode >= ROOT_INODE, 'inode 0');
}

function checkJournalObject(object: JournalObject, { chunkSize }: Geometry): void {
  if (object.chunks > 0) {
    checkObject(object, chunkSize);
    return;
  }
  require(object.id.length === ID_SIZE, 'object id of a wrong length');
  require(object.digests.length === 0, 'object with a wrong number of digests');
}

function checkExtents(extents: readonly Extent[]): void {
  require(extents.length >= 1, 'empty extent list');
  checkExtentOrder(extents);
  for (const { fileOffset, objectOffset, length } of extents) {
    require(objectOffset >= 0 && Number.isSafeInteger(objectOffset + length), 'extent out of range');
    require(Number.isSafeInteger(fileOffset + length), 'extent out of range');
  }
}

function checkChunks({ fileChunk, object, objectChunk, records }: ChunksEntry, geometry: Geometry): void {
  const { recordSize } = geometry;
  require(records.length % recordSize === 0, 'records cut short');
  const count = records.length / recordSize;
  checkRun(fileChunk, count);
  require(isU32(object), 'object out of range');
  require(objectChunk >= 0 && objectChunk + count <= MAX_CHUNKS, 'chunks beyond the most an object has');
  const view = new DataView(records.buffer, records.byteOffset, records.byteLength);
  for (let at = 0; at < records.length; at += recordSize) {
    require(isRecordWellFormed(view, at, geometry), 'record that no writer makes');
  }
}

/** Checks a run of a file's chunks. @param first the first chunk of the run */
function checkRun(first: number, count: number): void {
  require(count >= 1, 'run of no chunks');
  require(first >= 0 && Number.isSafeInteger(first + count), 'run of chunks out of range');
}
