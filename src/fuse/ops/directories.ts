import { Errno } from '../../base/errno.ts';
import { fuse_dirent, fuse_entry_out, fuse_read_in } from '../protocol/abi.ts';
import { type Exchange, replyEntry } from '../protocol/exchange.ts';
import type { DirectoryEntry } from '../protocol/filesystem.ts';

/** The cookie of ".."; those of children are greater, see FileSystem.entryAfter. */
const LAST_DOT_COOKIE = 2;

/** Answers FUSE_READDIR with as many entries as fit, from the first after the cookie of the request. */
export function readDirectory(exchange: Exchange): number {
  return list(exchange, false);
}

/** Answers FUSE_READDIRPLUS: like {@link readDirectory}, but each entry comes with the answer to a LOOKUP of it. */
export function readDirectoryPlus(exchange: Exchange): number {
  return list(exchange, true);
}

function list(exchange: Exchange, withEntries: boolean): number {
  const { fileSystem, request, reply } = exchange;
  let cookie = request.u64(fuse_read_in.offset);
  const space = Math.min(request.u32(fuse_read_in.size), reply.capacity);
  let length = 0;
  while (true) {
    const entry = fileSystem.entryAfter(request.node, cookie);
    if (entry === undefined) return length;
    const head = withEntries ? fuse_entry_out.sizeof : 0;
    const size = (head + fuse_dirent.sizeof + entry.name.length + 7) & ~7;
    if (length + size > space) {
      // An empty reply would mean the end of the directory.
      if (length === 0) throw Errno.of('EINVAL');
      return length;
    }
    if (withEntries) writeEntry(exchange, length, entry);
    writeDirent(exchange, length + head, length + size, entry);
    length += size;
    cookie = entry.cookie;
  }
}

/** Writes the LOOKUP part of an entry. That of "." and ".." has node 0, which raises no lookup count. */
function writeEntry(exchange: Exchange, at: number, entry: DirectoryEntry): void {
  if (entry.cookie <= LAST_DOT_COOKIE) exchange.reply.zeros(at, fuse_entry_out.sizeof);
  else replyEntry(exchange, at, entry.attributes);
}

function writeDirent({ reply }: Exchange, at: number, end: number, entry: DirectoryEntry): void {
  reply.u64(at + fuse_dirent.ino, entry.attributes.node);
  reply.u64(at + fuse_dirent.off, entry.cookie);
  reply.u32(at + fuse_dirent.namelen, entry.name.length);
  reply.u32(at + fuse_dirent.type, (entry.attributes.mode >>> 12) & 15);
  const name = at + fuse_dirent.sizeof;
  reply.bytes(name, entry.name);
  reply.zeros(name + entry.name.length, end - name - entry.name.length);
}
