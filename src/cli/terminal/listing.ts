import { printableName } from '../../base/printable.ts';
import type { FileStatus, ListedFile } from '../../library/readable-image.ts';

const TYPE_LETTERS = { file: '-', directory: 'd', symlink: 'l', fifo: 'p', socket: 's' } as const;

/** Aligns the columns of rows, with two spaces between them. @param right the indexes of columns that hold numbers */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  const line = (row: readonly string[]): string =>
    row
      .map((cell, index) =>
        right.includes(index) ? cell.padStart(widths[index] ?? 0) : cell.padEnd(widths[index] ?? 0),
      )
      .join('  ');
  return rows.map((row) => `${line(row).trimEnd()}\n`).join('');
}

/**
 * Lists files like `ls -l`, one line each. Owners are numbers, because they are users of the host that the checkpoint
 * comes from.
 */
export function longListing(files: readonly ListedFile[]): string {
  const rows = files.map((file) => [
    modeText(file),
    `${file.links}`,
    `${file.uid}`,
    `${file.gid}`,
    `${file.size}`,
    timeText(file.mtime.seconds),
    file.target === undefined
      ? printableName(file.name)
      : `${printableName(file.name)} -> ${printableName(file.target)}`,
  ]);
  return table(rows, [1, 2, 3, 4]);
}

/** Writes type and mode as POSIX has it for ls: `-rw-r--r--`, with s, S, t and T for the three highest bits. */
export function modeText({ type, mode }: Pick<FileStatus, 'type' | 'mode'>): string {
  const special = [mode & 0o4000, mode & 0o2000, mode & 0o1000];
  const classes = [6, 3, 0].map((shift, index) => {
    const bits = (mode >> shift) & 7;
    const letter = index === 2 ? 't' : 's';
    const execute = bits & 1 ? 'x' : '-';
    const last = special[index] ? (bits & 1 ? letter : letter.toUpperCase()) : execute;
    return `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${last}`;
  });
  return TYPE_LETTERS[type] + classes.join('');
}

/** Writes a time in UTC, `2024-05-01 12:30:00`, or `@` and the number of seconds where a calendar has no such day. */
export function timeText(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return `@${seconds}`;
  return date
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, '');
}

/**
 * Returns the members that a name has in JSON: its text and, if the name is not UTF-8, its bytes in base64 as well,
 * under `key` with `Base64` appended.
 */
export function nameJson(key: string, name: Uint8Array): Record<string, string> {
  const bytes = Buffer.from(name);
  const text = bytes.toString('utf8');
  const isExact = Buffer.from(text, 'utf8').equals(bytes);
  return isExact ? { [key]: text } : { [key]: text, [`${key}Base64`]: bytes.toString('base64') };
}
