import { MalformedError } from '../base/bytes.ts';
import { MAX_TARGET_LENGTH } from '../base/names.ts';
import type { Time } from '../base/time.ts';
import { isU32 } from '../format/inode-check.ts';
import type { XattrList } from '../format/xattrs.ts';
import type { Extensions } from './extensions.ts';
import type { Header } from './header.ts';
import type { Member } from './member.ts';
import { memberPath } from './member-path.ts';
import { refusedMember } from './refused.ts';
import type { SparseMap } from './sparse-map.ts';

const SLASH = 0x2f;

/** What the type flags stand for. Archives of v7 have a NUL for a file, and no flag for a directory. */
const TYPES: Readonly<Record<string, Member['type']>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'device',
  '4': 'device',
  '5': 'directory',
  '6': 'fifo',
};

/**
 * Joins header and extensions of a member, and checks what needs no other member.
 * @throws MalformedError
 * @throws CkptfsError `unsupported-source`
 */
export function checkedMember(
  archive: string,
  name: Buffer,
  header: Header,
  extensions: Extensions,
  { size, ranges }: SparseMap,
): Member {
  const { names: path, isOfDirectory } = memberPath(archive, name);
  const flagged = TYPES[header.type];
  if (flagged === undefined) {
    const flag = JSON.stringify(header.type);
    throw refusedMember(archive, name, 'unrepresentable', `is of a type that is not known: ${flag}`);
  }
  // Archives of v7 know directories by their names, and programs look at one or the other.
  const isOldDirectory = header.type === '\0' && endsWithSlash(name);
  if (header.type === '\0' && isOldDirectory !== endsWithSlash(header.name)) {
    throw refusedMember(archive, name, 'unsafe-member', 'has two names, of which one is that of a directory');
  }
  const type = isOldDirectory ? 'directory' : flagged;
  if (isOfDirectory && type !== 'directory') {
    throw refusedMember(archive, name, 'unsafe-member', 'has the name of a directory, but is none');
  }
  if (type !== 'file' && size !== 0) throw new MalformedError('contents of what is not a file');
  const mtime = extensions.mtime ?? { seconds: header.mtime, nanoseconds: 0 };
  const { atime = mtime } = extensions;
  checkTimes([mtime, atime]);
  return {
    name: Buffer.from(name),
    path: path.map((each) => Buffer.from(each)),
    type,
    mode: header.mode,
    uid: owner(extensions.uid ?? header.uid),
    gid: owner(extensions.gid ?? header.gid),
    mtime,
    atime,
    target: targetOf(archive, name, type, extensions.link ?? header.link),
    size,
    ranges,
    xattrs: xattrsOf(extensions),
    hasOtherAttributes: extensions.hasOtherAttributes,
  };
}

function endsWithSlash(name: Buffer): boolean {
  return name.at(-1) === SLASH;
}

function targetOf(archive: string, name: Buffer, type: Member['type'], target: Buffer): Buffer {
  if (type !== 'symlink') return target;
  const fits = target.length >= 1 && target.length <= MAX_TARGET_LENGTH && !target.includes(0);
  if (!fits) throw refusedMember(archive, name, 'unrepresentable', 'is a symbolic link to what can be no path');
  return target;
}

function xattrsOf({ xattrs }: Extensions): XattrList {
  const list = [...xattrs].map(([name, value]) => ({ name: Buffer.from(name, 'latin1'), value }));
  return list.sort((a, b) => a.name.compare(b.name));
}

function owner(id: number): number {
  if (!isU32(id)) throw new MalformedError('an owner that is no number of 32 bits');
  return id;
}

function checkTimes(times: readonly Time[]): void {
  if (!times.every(({ seconds }) => Number.isSafeInteger(seconds)))
    throw new MalformedError('a time beyond 2^53 seconds');
}
