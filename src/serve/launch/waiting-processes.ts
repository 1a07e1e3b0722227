import { readFileSync } from 'node:fs';
import { namesIn } from '../../base/listing.ts';

/** The flag of a mapping whose missing pages another process has to bring (proc(5), userfaultfd(2)). */
const MISSING_PAGES_FLAG = /^VmFlags:.* um\b/m;

/**
 * Returns the descendants of a process that have memory which another process still has to bring. The kernel takes the
 * flag from their mappings when that other process lets go of them.
 */
export function processesWaitingForMemory(ancestor: number): number[] {
  return descendantsOf(ancestor).filter((pid) => MISSING_PAGES_FLAG.test(text(`/proc/${pid}/smaps`)));
}

function descendantsOf(pid: number): number[] {
  return namesIn(`/proc/${pid}/task`)
    .flatMap((thread) => text(`/proc/${pid}/task/${thread}/children`).split(' '))
    .filter((word) => word !== '')
    .map(Number)
    .flatMap((child) => [child, ...descendantsOf(child)]);
}

/** Reads a file of /proc; nothing when its process has ended. */
function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
