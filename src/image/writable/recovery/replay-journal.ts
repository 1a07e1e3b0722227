import { MalformedError } from '../../../base/bytes.ts';
import type { JournalEntry } from '../../../format/journal.ts';
import type { Store } from '../../../stores/store.ts';
import type { ImageContext } from '../../objects/image-context.ts';
import { type JournalReader, type JournalTail, journalDamaged } from '../journal/journal-reader.ts';
import type { LiveState } from '../model/live-tree.ts';
import { ChunkVerifier } from './chunk-verifier.ts';
import { Replay } from './replay.ts';

/** The state that a journal leads to. */
export interface ReplayedJournal {
  readonly state: LiveState;
  /** What of the journal could not be used, in one clause; undefined when nothing that was committed is missing. */
  readonly dropped: string | undefined;
}

/** What a first pass through a journal finds, before any of it is applied. */
interface Outline {
  readonly frames: number;
  /** The number of the last frame with a barrier. */
  readonly lastBarrier: number;
  readonly tail: JournalTail;
}

/**
 * Returns the last state that a journal leads to for which every chunk named after the last barrier is in the store.
 * The objects that were begun in the journal are not finished.
 * @throws CkptfsError `damaged`, `io`
 */
export function replayJournal(image: ImageContext, reader: JournalReader): ReplayedJournal {
  const { store, geometry } = image;
  const verifier = new ChunkVerifier(image);
  try {
    const outline = outlineOf(store, reader);
    const replay = new Replay(geometry);
    const used = applyFrames(reader, replay, verifier, outline);
    return { state: replay.state(), dropped: describeDropped(outline, used) };
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause;
    throw journalDamaged(store.location, cause.message);
  } finally {
    verifier.close();
  }
}

function outlineOf(store: Store, reader: JournalReader): Outline {
  const frames = reader.frames();
  let lastBarrier: number | undefined;
  let count = 0;
  for (let next = frames.next(); ; next = frames.next()) {
    if (next.done === true) {
      // Only the first barrier says that the snapshot is complete.
      if (lastBarrier === undefined) throw journalDamaged(store.location, 'it ends within its first snapshot');
      return { frames: count, lastBarrier, tail: next.value };
    }
    const [first, second] = next.value;
    if (first?.kind === 'barrier' || second?.kind === 'barrier') lastBarrier = count;
    count++;
  }
}

/** Applies the frames before the first one that names a chunk which is not in the store. Returns how many those are. */
function applyFrames(reader: JournalReader, replay: Replay, verifier: ChunkVerifier, { lastBarrier }: Outline): number {
  let applied = 0;
  for (const entries of reader.frames()) {
    if (applied >= lastBarrier && !areChunksThere(entries, replay, verifier)) break;
    for (const entry of entries) replay.apply(entry);
    applied++;
  }
  return applied;
}

function areChunksThere(entries: readonly JournalEntry[], replay: Replay, verifier: ChunkVerifier): boolean {
  const ids = replay.objects.map(({ id }) => id);
  for (const entry of entries) {
    if (entry.kind === 'object') ids.push(entry.id);
    if (entry.kind !== 'chunks') continue;
    const id = ids[entry.object];
    if (id === undefined) throw new MalformedError(`object ${entry.object}, but only ${ids.length} are known`);
    if (!verifier.isAuthentic(id, entry.objectChunk, entry.records)) return false;
  }
  return true;
}

function describeDropped({ frames, tail }: Outline, used: number): string | undefined {
  if (used < frames) {
    const count = frames - used;
    return `the last ${count === 1 ? 'commit' : `${count} commits`}: the contents of files had not reached the disk`;
  }
  return tail === 'garbage' ? 'the end of the journal: it had not reached the disk as it was written' : undefined;
}
