import { printableName } from '../../base/printable.ts';
import type { FileStatus, ListedFile } from '../../library/encrypted-image.ts';
import { table } from './table.ts';

const letters = { file: '-', directory: 'd', symlink: 'l', fifo: 'p', socket: 's' } as const;

/** One line for each file, as `ls -l` has it, owners as numbers: they are those of the host the checkpoint comes from. */
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

/** `-rw-r--r--`, with s, S, t and T for the high bits, as POSIX says for ls. */
export function modeText({ type, mode }: Pick<FileStatus, 'type' | 'mode'>): string {
  const special = [mode & 0o4000, mode & 0o2000, mode & 0o1000];
  const classes = [6, 3, 0].map((shift, at) => {
    const bits = (mode >> shift) & 7;
    const mark = at === 2 ? 't' : 's';
    const plain = bits & 1 ? 'x' : '-';
    const last = special[at] ? (bits & 1 ? mark : mark.toUpperCase()) : plain;
    return `${bits & 4 ? 'r' : '-'}${bits & 2 ? 'w' : '-'}${last}`;
  });
  return letters[type] + classes.join('');
}

/** `2024-05-01 12:30:00`, UTC; the number of seconds where a calendar has no such day. */
export function timeText(seconds: number): string {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return `@${seconds}`;
  return date
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, '');
}
