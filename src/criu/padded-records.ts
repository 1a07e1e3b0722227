import { MalformedError } from '../base/bytes.ts';
import { Region } from '../base/linux/native.ts';
import type { Allowance } from './allowance.ts';
import { PIECE, PieceList, type PieceTable, RECORD_DATA_SIZE } from './piece-table.ts';
import { readStored, type StoredFile } from './stored-file.ts';

/** A structure of C: tag (16), nonce (12), padding (4), the number of bytes (8), and room for data. */
export const PADDED_RECORD_LENGTH_AT = 32;
export const PADDED_RECORD_HEAD = 40;
export const PADDED_RECORD_SIZE = PADDED_RECORD_HEAD + RECORD_DATA_SIZE;

/** Records that are read at once. */
const RUN = 256;

/**
 * Finds the pieces of an image of a stream, such as an archive of a tmpfs. Any record may be short: it has what one
 * read of a pipe gave. So the number in each is read, and nothing is decrypted.
 * @throws MalformedError
 */
export function indexPaddedRecords(file: StoredFile, allowance: Allowance): PieceTable {
  if (file.size % PADDED_RECORD_SIZE !== 0) throw new MalformedError('it ends within a record');
  const pieces = new PieceList(allowance);
  const run = new Region(Math.min(RUN * PADDED_RECORD_SIZE, file.size));
  for (let position = 0; position < file.size; position += run.length) {
    const length = Math.min(run.length, file.size - position);
    readStored(file, run, 0, length, position);
    for (let at = 0; at < length; at += PADDED_RECORD_SIZE)
      pieces.add(PIECE.paddedRecord, position + at, recordLength(run, at + PADDED_RECORD_LENGTH_AT));
  }
  return pieces.finish();
}

/** Reads the number of bytes that a record has: 1 to 4096, where it may claim anything. @throws MalformedError */
export function recordLength(region: Region, at: number): number {
  const length = region.view.getBigInt64(at, true);
  if (length < 1n || length > BigInt(RECORD_DATA_SIZE)) throw new MalformedError(`a record claims ${length} bytes`);
  return Number(length);
}
