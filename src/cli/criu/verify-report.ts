import { printable, printableName } from '../../base/printable.ts';
import type { CriuReport } from '../../criu/tree/verify-tree.ts';
import type { CommonOptions } from '../command.ts';
import { EXIT_OK, exitCodes } from '../exit-codes.ts';
import { nameJson } from '../terminal/listing.ts';
import { print, printJson } from '../terminal/output.ts';
import { countOf, formatBytes } from '../terminal/quantities.ts';

/** Prints what was found in a directory that CRIU encrypted. Returns the exit code. */
export async function reportCriu(
  imageId: string,
  report: CriuReport,
  { json, quiet }: CommonOptions & { readonly json: boolean },
): Promise<number> {
  if (json) await printJson(reportJson(imageId, report));
  else await print(reportText(report, quiet));
  return report.damage.length === 0 ? EXIT_OK : exitCodes.damaged;
}

function reportText({ damage, files, bytes, pages, unprotected }: CriuReport, quiet: boolean): string {
  const lines = damage.map(({ file, reason }) => `${printableName(file)}: ${printable(reason)}`);
  if (!quiet) {
    const amount = `${countOf(files, 'file')}, ${formatBytes(bytes)}`;
    lines.push(damage.length === 0 ? `intact: ${amount}` : `damaged: ${countOf(damage.length, 'fault')} in ${amount}`);
    lines.push(...pages.map(pagesText));
    if (unprotected.length > 0) {
      lines.push(`not protected by CRIU's encryption: ${unprotected.map((name) => printableName(name)).join(', ')}`);
    }
  }
  return lines.map((line) => `${line}\n`).join('');
}

function pagesText({ directory, ...digest }: CriuReport['pages'][number]): string {
  const where = directory.length === 0 ? '' : ` of ${printableName(directory)}`;
  const what = `pages of memory${where}`;
  if (digest.outcome === 'unknown') return `${what}: not checked: ${printable(digest.why)}`;
  return `${what}: ${digest.pages}, ${digest.outcome === 'matches' ? 'as the digest says' : 'other than the digest says'}`;
}

function reportJson(imageId: string, { damage, files, bytes, pages, unprotected }: CriuReport): unknown {
  return {
    format: 'criu',
    imageId,
    intact: damage.length === 0,
    files,
    bytes,
    damage: damage.map(({ file, reason }) => ({ ...nameJson('file', file), reason })),
    pages: pages.map(({ directory, ...digest }) => ({ ...nameJson('directory', directory), ...digest })),
    unprotected: unprotected.map((name) => nameJson('file', name)),
  };
}
