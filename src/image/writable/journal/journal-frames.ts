import { MalformedError } from '../../../base/bytes.ts';
import { CkptfsError } from '../../../base/errors.ts';
import type { Geometry } from '../../../format/geometry.ts';
import type { JournalEntry } from '../../../format/journal.ts';
import { encodeEntries } from '../../../format/journal-codec.ts';
import { xattrsSize } from '../model/xattr-list.ts';

/** Bytes of entries after which a frame of a snapshot is full. */
const FRAME_SIZE = 1 << 20;
const BYTES_PER_EXTENT = 28;
/** Bytes of an entry at most, besides what is counted. */
const ENTRY_SIZE = 64;

/** Cuts entries into pieces that fit into frames. */
export function* frames(entries: Iterable<JournalEntry>): Generator<JournalEntry[]> {
  let frame: JournalEntry[] = [];
  let size = 0;
  for (const entry of entries) {
    const more = sizeOf(entry);
    if (frame.length > 0 && size + more > FRAME_SIZE) {
      yield frame;
      frame = [];
      size = 0;
    }
    frame.push(entry);
    size += more;
  }
  if (frame.length > 0) yield frame;
}

/** Returns the plaintext of a frame. @throws CkptfsError `unsupported-source` for entries that do not fit into one */
export function encodeFrame(entries: readonly JournalEntry[], geometry: Geometry): Buffer {
  try {
    return encodeEntries(entries, geometry);
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause;
    throw new CkptfsError('unsupported-source', `the image cannot be written: ${cause.message}`, {
      data: { reason: 'unrepresentable' },
      cause,
    });
  }
}

function sizeOf(entry: JournalEntry): number {
  switch (entry.kind) {
    case 'object':
      return ENTRY_SIZE + entry.digests.length;
    case 'inode': {
      const { value } = entry;
      const target = value.type === 'symlink' ? value.target.length : 0;
      return ENTRY_SIZE + 8 * value.xattrs.length + xattrsSize(value.xattrs) + target;
    }
    case 'name':
    case 'unname':
      return ENTRY_SIZE + entry.name.length;
    case 'extents':
      return ENTRY_SIZE + entry.extents.length * BYTES_PER_EXTENT;
    case 'chunks':
      return ENTRY_SIZE + entry.records.length;
    default:
      return ENTRY_SIZE;
  }
}
