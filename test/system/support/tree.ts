import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { makeMeetingPointAt, setTimes } from '../../../src/base/linux/at-calls.ts';
import { dataRanges } from '../../../src/base/linux/files.ts';
import { getXattr, listXattrs, setXattr } from '../../../src/base/linux/xattrs.ts';
import { runProgram } from './programs.ts';

export const smallFiles = 4000;
const MiB = 1 << 20;

/**
 * A directory with everything an image keeps: `plain/` what every transport shows, `odd/` what only the kernel's does.
 */
export function makeTree(root: string, files = smallFiles): void {
  const path = (...names: string[]): string => join(root, ...names);
  for (const name of ['', 'plain', 'plain/empty', 'plain/many', 'odd']) fs.mkdirSync(path(name));
  fs.writeFileSync(path('plain', 'pages-1.img'), randomBytes(9 * MiB + 123));
  fs.writeFileSync(path('plain', 'nothing'), '');
  for (let i = 0; i < files; i++) {
    fs.writeFileSync(path('plain', 'many', `core-${i}.img`), randomBytes((i * 7) % 3000));
  }
  fs.linkSync(path('plain', 'pages-1.img'), path('plain', 'twin'));
  fs.symlinkSync('pages-1.img', path('plain', 'parent'));
  fs.symlinkSync(`/nowhere/${'x'.repeat(4000)}`, path('plain', 'far'));
  fs.writeFileSync(path('plain', 'größe ✓ 名前'), 'text');
  fs.writeFileSync(path('plain', 'n'.repeat(255)), 'a long name');
  fs.chmodSync(path('plain', 'nothing'), 0o4711);
  fs.chmodSync(path('plain', 'empty'), 0o1777);
  fs.chownSync(path('plain', 'nothing'), 4_000_000_000, 77);

  makeMeetingPoints(path('plain'));

  const sparse = fs.openSync(path('odd', 'sparse'), 'w');
  for (const offset of [MiB, 5 * MiB + 4096, 70 * MiB]) fs.writeSync(sparse, randomBytes(8192), 0, 8192, offset);
  fs.ftruncateSync(sparse, 100 * MiB + 1);
  fs.closeSync(sparse);
  for (const name of [Buffer.from([0xff, 0xfe, 0x80]), Buffer.from('a\nb\\c"d'), Buffer.from(' ')]) {
    fs.writeFileSync(Buffer.concat([Buffer.from(`${path('odd')}/`), name]), name);
  }
  setXattr(Buffer.from(path('odd', 'sparse')), Buffer.from('user.checkpoint'), randomBytes(3000));
  setXattr(Buffer.from(path('odd', 'sparse')), Buffer.from('user.empty'), Buffer.alloc(0));
  setXattr(Buffer.from(path('odd')), Buffer.from('user.on-a-directory'), Buffer.from('1'));
  setTimes(
    Buffer.from(path('odd', 'sparse')),
    { seconds: 77, nanoseconds: 8 },
    { seconds: -12_345, nanoseconds: 987_654_321 },
  );
  setTimes(Buffer.from(path('odd')), { seconds: -1, nanoseconds: 1 }, { seconds: 4_000_000_000, nanoseconds: 1 });
}

/** Makes a FIFO with two names and a socket, with modes, owners and times of their own. */
function makeMeetingPoints(directory: string): void {
  const held = fs.openSync(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  for (const type of ['fifo', 'socket'] as const) makeMeetingPointAt(held, `a.${type}`, type);
  fs.closeSync(held);
  const [fifo, socket] = [join(directory, 'a.fifo'), join(directory, 'a.socket')];
  fs.linkSync(fifo, join(directory, 'again.fifo'));
  fs.chmodSync(fifo, 0o2624);
  fs.chownSync(socket, 12, 3_000_000_000);
  fs.chmodSync(socket, 0o751);
  setTimes(Buffer.from(fifo), { seconds: 5, nanoseconds: 0 }, { seconds: 1_234_567_890, nanoseconds: 250_000_000 });
  setTimes(Buffer.from(socket), { seconds: 6, nanoseconds: 0 }, { seconds: 1_000_000_001, nanoseconds: 125_000_000 });
}

/**
 * Compares what can be read: names, contents and links by diff(1), which calls any two FIFOs or sockets different, and
 * those by lstat(2): names, types, modes, owners, links and mtimes (in milliseconds, which every transport keeps).
 *
 * @throws Error that names what differs
 */
export function compareTrees(expected: string, actual: string): void {
  const meeting = ['--exclude=*.fifo', '--exclude=*.socket'];
  runProgram('diff', '--recursive', '--no-dereference', ...meeting, expected, actual);
  const [wanted, found] = [expected, actual].map((root) => describeMeetingPoints(root).join('\n'));
  if (wanted === '') throw new Error(`${expected} has neither FIFO nor socket`);
  if (wanted !== found) throw new Error(`instead of\n${wanted}\nin ${actual} there is\n${found}`);
}

function describeMeetingPoints(root: string): string[] {
  const paths = fs.readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  return paths
    .filter((path) => /\.(fifo|socket)$/.test(path))
    .map((path) => {
      const { mode, uid, gid, nlink, size, mtimeMs } = fs.lstatSync(join(root, path));
      return [path, mode.toString(8), uid, gid, nlink, size, mtimeMs].join(' ');
    });
}

/**
 * All that can be told of each path below a directory without reading it, as text to compare, in byte order of paths.
 */
export function describeTree(root: string): string[] {
  const lines: string[] = [];
  const visit = (path: Buffer, shown: string): void => {
    const status = fs.lstatSync(path, { bigint: true });
    const { mode, uid, gid, nlink, mtimeNs } = status;
    const size = status.isDirectory() ? 0 : status.size;
    const xattrs = listXattrs(path).map((name) => `${name}=${getXattr(path, name).toString('hex')}`);
    const more = status.isFile() ? holes(path) : status.isSymbolicLink() ? [String(fs.readlinkSync(path))] : [];
    lines.push([shown, mode.toString(8), uid, gid, nlink, size, mtimeNs, ...xattrs.sort(), ...more].join(' '));
    if (!status.isDirectory()) return;
    for (const name of fs.readdirSync(path, { encoding: 'buffer' }).sort(Buffer.compare)) {
      visit(Buffer.concat([path, Buffer.from('/'), name]), `${shown}/${name.toString('latin1')}`);
    }
  };
  visit(Buffer.from(root), '.');
  return lines;
}

/** SEEK_DATA and SEEK_HOLE as far as they are worth telling: of files of some size. */
function holes(path: Buffer): string[] {
  const fd = fs.openSync(path, 'r');
  try {
    const { size } = fs.fstatSync(fd);
    return size < MiB ? [] : [...dataRanges(fd, size)].map(([start, end]) => `${start}-${end}`);
  } finally {
    fs.closeSync(fd);
  }
}
