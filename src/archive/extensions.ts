import { MalformedError } from '../base/bytes.ts';
import type { Time } from '../base/time.ts';
import { MAX_XATTR_VALUE } from '../format/manifest.ts';
import { isKeptXattr } from '../format/xattrs.ts';
import { type PaxRecord, paxNumber, paxTime } from './pax-records.ts';

/** What precedes a member and holds in place of its header: PAX records, and long names of GNU tar. */
export interface Extensions {
  name?: Buffer;
  link?: Buffer;
  /** Bytes that the archive has of it. */
  size?: number;
  uid?: number;
  gid?: number;
  mtime?: Time;
  atime?: Time;
  /** Values of attributes, by names as latin1. */
  readonly xattrs: Map<string, Buffer>;
  hasOtherAttributes: boolean;
  /** The records about holes, by what follows `GNU.sparse.`. */
  readonly sparse: Map<string, string>;
  /** The pairs of PAX format 0.0. */
  readonly sparsePairs: number[];
}

/** Linux has at most 64 KiB of names of attributes for a file; "user.x" and a NUL are the shortest that many have. */
const MAX_XATTRS = 8192;
const XATTR = 'SCHILY.xattr.';
const SPARSE = 'GNU.sparse.';
const SPARSE_KEYS = ['major', 'minor', 'name', 'realsize', 'size', 'numblocks', 'map'];
/** Attributes that an image does not keep. */
const OTHER_ATTRIBUTES = /^(?:SCHILY\.acl\.|RHT\.security\.|LIBARCHIVE\.xattr\.)/;
/** Records by which programs take a member for something else than its header says. */
const OTHER_MEANING = /^(?:GNU\.(?:dumpdir|volume)|SCHILY\.(?:filetype|realsize|offset|xattr$))/;

export function noExtensions(): Extensions {
  return { xattrs: new Map(), hasOtherAttributes: false, sparse: new Map(), sparsePairs: [] };
}

/**
 * Adds the records of an extended header.
 * @throws MalformedError for what has two meanings, or none
 */
export function addRecords(to: Extensions, records: readonly PaxRecord[]): void {
  const seen = new Set<string>();
  for (const { key, value } of records) {
    const isOfList = key === `${SPARSE}offset` || key === `${SPARSE}numbytes`;
    if (seen.has(key) && !isOfList) throw new MalformedError(`two records ${key} for one member`);
    seen.add(key);
    addRecord(to, key, value);
  }
  // bsdtar has each attribute in two forms.
  if (seen.size > 0 && to.xattrs.size > 0) to.hasOtherAttributes &&= hasOther(seen);
}

function hasOther(keys: ReadonlySet<string>): boolean {
  return [...keys].some((key) => OTHER_ATTRIBUTES.test(key) && !key.startsWith('LIBARCHIVE.'));
}

function addRecord(to: Extensions, key: string, value: Buffer): void {
  if (key.startsWith(XATTR) && key.length > XATTR.length) addXattr(to, key.slice(XATTR.length), value);
  if (key.startsWith(SPARSE)) addSparse(to, key.slice(SPARSE.length), value);
  if (OTHER_MEANING.test(key)) throw new MalformedError(`a record ${key}, which is not known`);
  if (OTHER_ATTRIBUTES.test(key)) to.hasOtherAttributes = true;
  switch (key) {
    case 'path':
      setOnce(to, 'name', value);
      return;
    case 'linkpath':
      setOnce(to, 'link', value);
      return;
    case 'size':
    case 'uid':
    case 'gid':
      to[key] = paxNumber(value, key);
      return;
    case 'mtime':
    case 'atime':
      to[key] = paxTime(value, key);
  }
}

/** Sets a name, which may be there by another extension as well. @throws MalformedError when there are two */
export function setOnce(to: Extensions, what: 'name' | 'link', value: Buffer): void {
  if (to[what] !== undefined) throw new MalformedError(`two long ${what}s for one member`);
  // The bytes around it are used again, or wiped.
  to[what] = Buffer.from(value);
}

function addXattr(to: Extensions, encoded: string, value: Buffer): void {
  // As star and GNU tar do it, since a key of a record ends with the first "=".
  const name = encoded.replace(/%3D/g, '=').replace(/%25/g, '%');
  if (!isKeptXattr(Buffer.from(name, 'latin1')) || value.length > MAX_XATTR_VALUE) to.hasOtherAttributes = true;
  else if (to.xattrs.size >= MAX_XATTRS) throw new MalformedError(`more than ${MAX_XATTRS} attributes of one member`);
  else if (to.xattrs.has(name)) throw new MalformedError('an attribute that is there twice');
  else to.xattrs.set(name, Buffer.from(value));
}

function addSparse(to: Extensions, key: string, value: Buffer): void {
  if (key === 'offset' || key === 'numbytes') {
    const isTurn = to.sparsePairs.length % 2 === (key === 'offset' ? 0 : 1);
    if (!isTurn) throw new MalformedError('a sparse map out of order');
    to.sparsePairs.push(paxNumber(value, key));
  } else if (SPARSE_KEYS.includes(key)) to.sparse.set(key, value.toString('latin1'));
  else throw new MalformedError(`a record ${SPARSE}${key}, which is not known`);
}
