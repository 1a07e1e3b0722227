import type { Loss, LossKind } from '../../image/outside/losses.ts';
import { EXIT_NOT_ALL_KEPT, EXIT_OK } from '../exit-codes.ts';
import { warn } from './output.ts';
import { countOf } from './quantities.ts';

const NAMES: Readonly<Record<LossKind, string>> = {
  entry: 'the entry itself',
  owner: 'the owner',
  mode: 'the mode',
  times: 'the times',
  attributes: 'extended attributes',
};

/** Warns of what could not be kept, in a bounded number of lines. @returns the exit code that tells it */
export async function reportLosses(losses: readonly Loss[], quiet: boolean): Promise<number> {
  if (losses.length === 0) return EXIT_OK;
  if (!quiet) for (const line of lossLines(losses)) await warn(line);
  return EXIT_NOT_ALL_KEPT;
}

export function lossLines(losses: readonly Loss[]): string[] {
  const lines: string[] = [];
  for (const { kind, count, examples } of losses) {
    for (const { path, reason } of examples) lines.push(`could not keep ${NAMES[kind]} of ${path} (${reason})`);
    if (count > examples.length) lines.push(`could not keep ${NAMES[kind]} of ${count - examples.length} more`);
  }
  const totals = losses.map(({ kind, count }) => `${NAMES[kind]} of ${countOf(count, 'file')}`);
  lines.push(`everything else was kept; missing: ${totals.join(', ')}`);
  return lines;
}
