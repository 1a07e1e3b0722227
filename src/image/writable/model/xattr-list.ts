import { Errno } from '../../../base/errno.ts';
import { MAX_XATTR_VALUE } from '../../../format/manifest.ts';
import type { Xattr, XattrList } from '../../../format/xattrs.ts';

/** Bytes of names and values of one inode at most. Every change of one attribute writes all of them to the journal. */
const MAX_XATTRS_SIZE = 256 * 1024;

/** Returns a list with one attribute set. @throws Errno EEXIST (`create`), ENODATA (`replace`), E2BIG, ENOSPC */
export function xattrsWith(
  xattrs: XattrList,
  name: Uint8Array,
  value: Uint8Array,
  how: 'any' | 'create' | 'replace',
): XattrList {
  const known = xattrs.some((xattr) => xattr.name.equals(name));
  if (known && how === 'create') throw Errno.of('EEXIST');
  if (!known && how === 'replace') throw Errno.of('ENODATA');
  if (value.length > MAX_XATTR_VALUE) throw Errno.of('E2BIG');
  const others = xattrs.filter((xattr) => !xattr.name.equals(name));
  const changed = [...others, { name: Buffer.from(name), value: Buffer.from(value) }].sort(byName);
  if (xattrsSize(changed) > MAX_XATTRS_SIZE) throw Errno.of('ENOSPC');
  return changed;
}

/** Returns a list without an attribute. @throws Errno ENODATA */
export function xattrsWithout(xattrs: XattrList, name: Uint8Array): XattrList {
  const others = xattrs.filter((xattr) => !xattr.name.equals(name));
  if (others.length === xattrs.length) throw Errno.of('ENODATA');
  return others;
}

/** Returns the bytes that names and values take. */
export function xattrsSize(xattrs: XattrList): number {
  return xattrs.reduce((sum, { name, value }) => sum + name.length + value.length, 0);
}

function byName(a: Xattr, b: Xattr): number {
  return a.name.compare(b.name);
}
