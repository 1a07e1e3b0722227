import { MalformedError } from '../../../base/bytes.ts';
import type { Secret } from '../../../crypto/secret.ts';
import type { Geometry } from '../../../format/geometry.ts';
import type { Header } from '../../../format/header.ts';
import type { JournalEntry } from '../../../format/journal.ts';
import type { Store } from '../../../stores/store.ts';
import { type JournalReader, type JournalTail, journalDamaged } from '../journal/journal-reader.ts';
import type { LiveState } from '../model/live-state.ts';
import { ChunkVerifier } from './chunk-verifier.ts';
import { Replay } from './replay.ts';

/** What a journal gives. */
export interface ReplayedJournal {
  readonly state: LiveState;
  /** What of it could not be used, one sentence; undefined when nothing that anybody was told of is missing. */
  readonly dropped: string | undefined;
}

/** What a look through a journal shows before anything is believed. */
interface Outline {
  readonly frames: number;
  /** Number of the last frame with a barrier. */
  readonly lastBarrier: number;
  readonly tail: JournalTail;
}

/**
 * The last state a journal leads to of which every chunk written after the last barrier is there. Objects begun in it are not finished.
 * @throws CkptfsError `damaged`, `io`
 */
export function replayJournal(
  store: Store,
  header: Header,
  imageKey: Secret,
  geometry: Geometry,
  reader: JournalReader,
): ReplayedJournal {
  const verifier = new ChunkVerifier(store, header, imageKey, geometry);
  try {
    const outline = look(store, reader);
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

function look(store: Store, reader: JournalReader): Outline {
  const frames = reader.frames();
  let lastBarrier: number | undefined;
  let count = 0;
  for (let next = frames.next(); ; next = frames.next()) {
    if (next.done === true) {
      // The snapshot it begins with is not whole without.
      if (lastBarrier === undefined) throw journalDamaged(store.location, 'it ends within the snapshot it begins with');
      return { frames: count, lastBarrier, tail: next.value };
    }
    const [first, second] = next.value;
    if (first?.kind === 'barrier' || second?.kind === 'barrier') lastBarrier = count;
    count++;
  }
}

/** Returns how many frames were applied: all, or those before the first that names a chunk which is not there. */
function applyFrames(reader: JournalReader, replay: Replay, verifier: ChunkVerifier, { lastBarrier }: Outline): number {
  let applied = 0;
  for (const entries of reader.frames()) {
    if (applied >= lastBarrier && !areChunksThere(entries, replay, verifier)) break;
    for (const [at, entry] of entries.entries()) {
      if (entry.kind === 'base' && (applied > 0 || at > 0)) throw new MalformedError('base where it cannot be');
      replay.apply(entry);
    }
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
    if (id === undefined) throw new MalformedError('object that is none');
    if (!verifier.isAuthentic(id, entry.objectChunk, entry.records)) return false;
  }
  return true;
}

function describeDropped({ frames, tail }: Outline, used: number): string | undefined {
  if (used < frames) {
    const count = frames - used;
    return `the last ${count === 1 ? 'commit' : `${count} commits`}: data of files had not come to the disk`;
  }
  return tail === 'garbage'
    ? 'what stood at the end of the journal: it had not come to the disk as it was written'
    : undefined;
}
