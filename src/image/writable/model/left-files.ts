import { quotedPath } from '../../../base/printable.ts';
import type { LiveDirectory, LiveFile } from './live-inode.ts';
import type { LiveTree } from './live-tree.ts';

/** Names in one message at most. It says how many more there are. */
const MAX_SHOWN = 10;
/** Bytes of a path in a message at most. */
const MAX_PATH = 300;

/** Image files of CRIU that every dump has. */
const DUMP_IMAGE = /^(?:(?:core|mm|ids|pagemap|pages)-[0-9]+|pstree)\.img$/;
const INVENTORY = 'inventory.img';

/** Lists the paths of files in quotation marks, the first ten of them. */
export function namedFiles(tree: LiveTree, numbers: readonly number[]): string {
  const shown = numbers.slice(0, MAX_SHOWN).map((number) => named(tree, number));
  const more = numbers.length - shown.length;
  if (more > 0) return `${shown.join(', ')} and ${more} more`;
  const last = shown.pop() ?? 'nothing';
  return shown.length === 0 ? last : `${shown.join(', ')} and ${last}`;
}

/** Says of which files of a state that a writer left the store refused contents; undefined if there are none. */
export function describeLost(tree: LiveTree): string | undefined {
  const lost = filesOf(tree, (file) => file.lost);
  return lost.length === 0 ? undefined : `what was written last to ${namedFiles(tree, lost)}: the store refused it`;
}

/** Says which files of a state that a writer left were open, and which directories look like an incomplete dump. */
export function describeUnended(tree: LiveTree): string[] {
  const open = filesOf(tree, (file) => file.open && file.size > 0);
  const empty = filesOf(tree, (file) => file.open && file.size === 0);
  const lines: string[] = [];
  if (open.length > 0) {
    lines.push(`open when the writer ended, so what was written last may be missing: ${namedFiles(tree, open)}`);
  }
  if (empty.length > 0) lines.push(`open when the writer ended, and empty: ${namedFiles(tree, empty)}`);
  for (const directory of unendedDumps(tree)) {
    const name = directory === tree.root ? 'the image' : named(tree, directory.number);
    lines.push(`${name} looks like a CRIU dump without its ${INVENTORY}: the dump is not complete`);
  }
  return lines;
}

/**
 * Says how many files of a state that a writer left were open; undefined if there are none. It is for a log, which is
 * not encrypted and so does not name files that are whole.
 */
export function countUnended(tree: LiveTree): string | undefined {
  const { length } = filesOf(tree, (file) => file.open);
  if (length === 0) return undefined;
  const files = length === 1 ? 'one file was' : `${length} files were`;
  return `${files} open when the writer before this one ended; what was written last may be missing`;
}

function filesOf(tree: LiveTree, isMeant: (file: LiveFile) => boolean): number[] {
  const numbers: number[] = [];
  for (const inode of tree.inodes()) if (inode.type === 'file' && isMeant(inode)) numbers.push(inode.number);
  return numbers.sort((a, b) => a - b);
}

function unendedDumps(tree: LiveTree): LiveDirectory[] {
  const found: LiveDirectory[] = [];
  for (const inode of tree.inodes()) {
    if (inode.type !== 'directory' || inode.children.get(INVENTORY) !== undefined) continue;
    for (const { key } of inode.children.all()) {
      if (!DUMP_IMAGE.test(key)) continue;
      found.push(inode);
      break;
    }
  }
  return found;
}

function named(tree: LiveTree, number: number): string {
  const path = Buffer.from(tree.pathOf(number).join('/'), 'latin1');
  if (path.length === 0) return 'a file without a name';
  if (path.length <= MAX_PATH) return quotedPath(path);
  return `"…${quotedPath(path.subarray(path.length - MAX_PATH)).slice(1)}`;
}
