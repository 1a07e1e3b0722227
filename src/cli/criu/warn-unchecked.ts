import { printable, printableName } from '../../base/printable.ts';
import type { CriuReport } from '../../criu/tree/verify-tree.ts';
import { warn } from '../terminal/output.ts';

/** Warns of pages of memory that were checked in vain. They are not known to be damaged. */
export async function warnUnchecked(location: string, pages: CriuReport['pages']): Promise<void> {
  for (const { directory, ...digest } of pages) {
    if (digest.outcome !== 'unknown') continue;
    const where = directory.length === 0 ? printable(location) : `${printable(location)}/${printableName(directory)}`;
    await warn(`pages of memory of ${where} cannot be checked: ${printable(digest.why)}`);
  }
}
