import { Counters } from '../../base/counters.ts';
import type { AheadMemory } from '../../fs/ahead/layout.ts';
import { type AheadSource, RingReader } from '../../fs/ahead/ring-reader.ts';
import type { ThreadMemory } from './thread-messages.ts';

/**
 * Returns the part of a thread's connection that reads ahead; undefined where nothing is read ahead.
 * @param onMade see {@link RingReader}
 */
export function ringReader(
  ahead: AheadMemory | undefined,
  source: AheadSource | undefined,
  memory: ThreadMemory,
  onMade: () => void,
): RingReader | undefined {
  if (ahead === undefined || source === undefined) return undefined;
  return new RingReader(ahead, source, new Counters(memory.image), onMade);
}
