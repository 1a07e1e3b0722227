import { MAX_NAME_LENGTH } from '../base/names.ts';
import { refusedMember } from './refused.ts';

/** The names that lead to a member, from the root down. */
interface MemberPath {
  readonly names: readonly Buffer[];
  /** Whether it ends with "/" or "/.", as only the path of a directory may. */
  readonly isOfDirectory: boolean;
}

/** PATH_MAX of Linux, which counts the NUL at the end. */
const MAX_PATH_LENGTH = 4096;
const SLASH = 0x2f;

/**
 * Splits the name of a member, and refuses what leads out of the tree or can be no name.
 * @param says how a message goes on that names the path, for the target of a hard link
 * @throws CkptfsError `unsupported-source`
 */
export function memberPath(archive: string, member: Buffer, path: Buffer = member, says = ''): MemberPath {
  const refuse = (reason: 'unsafe-member' | 'unrepresentable', message: string): Error =>
    refusedMember(archive, member, reason, `${says}${message}`);
  if (path.length === 0) throw refuse('unrepresentable', 'has no name');
  // No program reaches what is deeper, and each name of a path can be a directory to make.
  if (path.length >= MAX_PATH_LENGTH) throw refuse('unrepresentable', `has a name of ${MAX_PATH_LENGTH} bytes or more`);
  if (path.includes(0)) throw refuse('unrepresentable', 'has a NUL in its name');
  if (path[0] === SLASH) throw refuse('unsafe-member', 'has an absolute name');
  const parts = partsOf(path);
  if (parts.some((part) => part.equals(UP))) throw refuse('unsafe-member', 'has ".." in its name');
  const names = parts.filter((part) => part.length > 0 && !part.equals(HERE));
  if (names.some((name) => name.length > MAX_NAME_LENGTH)) {
    throw refuse('unrepresentable', `has a name of more than ${MAX_NAME_LENGTH} bytes`);
  }
  const last = parts.at(-1);
  return { names, isOfDirectory: last === undefined || last.length === 0 || last.equals(HERE) };
}

const HERE = Buffer.from('.');
const UP = Buffer.from('..');

function partsOf(path: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let start = 0; start <= path.length; ) {
    const slash = path.indexOf(SLASH, start);
    const end = slash < 0 ? path.length : slash;
    parts.push(path.subarray(start, end));
    start = end + 1;
  }
  return parts;
}
