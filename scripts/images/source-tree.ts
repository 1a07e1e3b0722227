import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setTimes } from '../../src/base/linux/at-calls.ts';
import { Directory } from '../../src/base/linux/directory.ts';
import { getXattr, listXattrs, setXattr } from '../../src/base/linux/xattrs.ts';
import type { ListedFile } from '../../test/support/frozen-images.ts';
import { filler } from '../vectors/encode.ts';

/** Makes the tree that the frozen images hold, and describes a tree as it is on disk. Needs root for owners. */

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

interface Attributes {
  readonly mode?: number;
  readonly owner?: readonly [uid: number, gid: number];
  readonly time?: readonly [seconds: number, nanoseconds: number];
  readonly xattrs?: Readonly<Record<string, Buffer>>;
}

export function makeSourceTree(root: string): void {
  const pending: (() => void)[] = [];
  const at = (name: string): Buffer =>
    Buffer.concat([Buffer.from(root), name === '' ? latin1('') : latin1(`/${name}`)]);
  const set = (
    name: string,
    { mode, owner = [1000, 100], time = [1_700_000_000, 123_456_789], xattrs = {} }: Attributes,
  ) => {
    // Last of all, deepest first: what is made in a directory changes its time.
    pending.unshift(() => {
      fs.lchownSync(at(name), ...owner);
      for (const [key, value] of Object.entries(xattrs)) setXattr(at(name), latin1(key), value);
      if (mode !== undefined) fs.chmodSync(at(name), mode);
      const [seconds, nanoseconds] = time;
      setTimes(at(name), { seconds: seconds + 5, nanoseconds: 999_999_999 }, { seconds, nanoseconds });
    });
  };
  const directory = (name: string, attributes: Attributes = {}): void => {
    fs.mkdirSync(at(name));
    set(name, { mode: 0o755, ...attributes });
  };
  const file = (name: string, content: Buffer, attributes: Attributes = {}): void => {
    fs.writeFileSync(at(name), content);
    set(name, { mode: 0o644, ...attributes });
  };
  const sparse = (name: string, size: number, data: readonly (readonly [offset: number, length: number])[]): void => {
    const fd = fs.openSync(at(name), 'wx');
    fs.ftruncateSync(fd, size);
    for (const [offset, length] of data) fs.writeSync(fd, filler(`${name} ${offset}`, length), 0, length, offset);
    fs.closeSync(fd);
    set(name, { mode: 0o600 });
  };
  const link = (name: string, target: string): void => {
    fs.symlinkSync(latin1(target), at(name));
    set(name, { time: [1_600_000_000, 1] });
  };

  directory('', { owner: [0, 0], xattrs: { 'user.root': latin1('of the tree') } });
  file('pages-1.img', filler('pages-1.img', 65_537), { mode: 0o600 });
  file('pagemap-1.img', filler('pagemap-1.img', 12_000));
  file('core-1.img', filler('core-1.img', 1000), { mode: 0o4755, time: [-2, 999_999_999] });
  file('inventory.img', filler('inventory.img', 44), { mode: 0, owner: [0xffff_fffe, 0xffff_fffe] });
  file('empty.img', Buffer.alloc(0), { time: [2 ** 33, 0] });
  sparse('sparse-1.img', 1_048_577, [
    [0, 4096],
    [524_288, 4096],
    [1_048_576, 1],
  ]);
  sparse('sparse-2.img', 65_536, [[61_440, 4096]]);
  directory('a', { mode: 0o2775 });
  directory('a/b', { mode: 0o1777 });
  directory('a/b/c', { mode: 0o700, xattrs: { 'user.empty': Buffer.alloc(0) } });
  file('a/b/c/deep.img', filler('deep.img', 5000), {
    xattrs: { 'user.first': filler('attribute', 300), 'user.second\xff': latin1('two') },
  });
  fs.linkSync(at('core-1.img'), at('a/b/hard link'));
  const meeting = (name: string, type: 'fifo' | 'socket'): void => {
    const directory = Directory.open(path.dirname(at(name).toString()));
    directory.mknod(path.basename(name), type);
    directory.close();
    set(name, { mode: 0o620 });
  };

  meeting('stream.fifo', 'fifo');
  meeting('a/lazy-pages.socket', 'socket');
  fs.linkSync(at('stream.fifo'), at('a/b/stream.fifo'));
  link('parent', '../other\xff');
  link('a/dangling', 'x'.repeat(200));
  const odd = ['\xff\xfe', 'new\nline', ' space ', '-rf', '\xc3\xbc', '\x01', '...', 'n'.repeat(255)];
  directory('odd');
  for (const name of odd) file(`odd/${name}`, filler(`odd ${name}`, 10));
  for (const finish of pending) finish();
}

/**
 * Describes everything below a directory, the root first, in byte order of paths. Listing a directory changes its
 * atime, so it is looked at first.
 */
export function describeTree(root: string): ListedFile[] {
  const files: ListedFile[] = [];
  const visit = (name: string): void => {
    const place = Buffer.concat([Buffer.from(root), latin1(name === '' ? '' : `/${name}`)]);
    const stat = fs.lstatSync(place, { bigint: true });
    const common = {
      path: name,
      mode: (Number(stat.mode) & 0o7777).toString(8),
      uid: Number(stat.uid),
      gid: Number(stat.gid),
      atime: timeOf(stat.atimeNs),
      mtime: timeOf(stat.mtimeNs),
      ctime: timeOf(stat.ctimeNs),
      links: Number(stat.nlink),
      xattrs: stat.isSymbolicLink() ? {} : xattrsOf(place),
    };
    if (stat.isSymbolicLink()) {
      files.push({
        ...common,
        type: 'symlink',
        target: fs.readlinkSync(place, { encoding: 'buffer' }).toString('hex'),
      });
    } else if (stat.isFile()) {
      const sha256 = createHash('sha256').update(readQuietly(place)).digest('hex');
      files.push({ ...common, type: 'file', size: Number(stat.size), sha256 });
    } else if (!stat.isDirectory()) {
      files.push({ ...common, type: stat.isFIFO() ? 'fifo' : 'socket' });
    } else {
      files.push({ ...common, type: 'directory' });
      const names = fs.readdirSync(place, { encoding: 'buffer' }).sort(Buffer.compare);
      for (const child of names) visit(path.posix.join(name, child.toString('latin1')));
    }
  };
  visit('');
  return files;
}

/** Reads a file without a change of its atime, for another name of it. */
function readQuietly(place: Buffer): Buffer {
  const fd = fs.openSync(place, fs.constants.O_RDONLY | fs.constants.O_NOATIME);
  try {
    return fs.readFileSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** @param since1970 nanoseconds */
function timeOf(since1970: bigint): readonly [number, number] {
  const second = 1_000_000_000n;
  const nanoseconds = ((since1970 % second) + second) % second;
  return [Number((since1970 - nanoseconds) / second), Number(nanoseconds)];
}

function xattrsOf(place: Buffer): Record<string, string> {
  const names = listXattrs(place).filter((name) => name.toString('latin1').startsWith('user.'));
  return Object.fromEntries(
    names.sort(Buffer.compare).map((name) => [name.toString('latin1'), getXattr(place, name).toString('hex')]),
  );
}
