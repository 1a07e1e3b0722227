import { fuse_dirent, fuse_entry_out, fuse_read_in } from './abi.ts';
import type { Exchange } from './exchange.ts';
import { type DirectoryEntry, Errno } from './filesystem.ts';

/** Positions of "." and "..", see FileSystem.entryAt. */
const firstChild = 2;

/** FUSE_READDIR: as many entries as fit, from the position asked for. */
export function readDirectory(exchange: Exchange): number {
  return list(exchange, false);
}

/** FUSE_READDIRPLUS: the same, each entry with what a LOOKUP of it would tell. */
export function readDirectoryPlus(exchange: Exchange): number {
  return list(exchange, true);
}

/** The cookie of an entry is the position of the next one: what a later request, or seekdir(3), goes on from. */
function list(exchange: Exchange, withEntries: boolean): number {
  const { fileSystem, request, reply } = exchange;
  const first = request.u64(fuse_read_in.offset);
  const space = Math.min(request.u32(fuse_read_in.size), reply.capacity);
  let length = 0;
  for (let position = first; ; position++) {
    const entry = fileSystem.entryAt(request.node, position);
    if (entry === undefined) return length;
    const head = withEntries ? fuse_entry_out.sizeof : 0;
    const size = (head + fuse_dirent.sizeof + entry.name.length + 7) & ~7;
    if (length + size > space) {
      // Nothing at all would mean the end of the directory.
      if (length === 0) throw Errno.of('EINVAL');
      return length;
    }
    if (withEntries) writeEntry(exchange, length, position, entry);
    writeDirent(exchange, length + head, length + size, position, entry);
    length += size;
  }
}

/** "." and ".." carry node 0: no node is handed out for them, so none has to be forgotten. */
function writeEntry({ reply, validSeconds }: Exchange, at: number, position: number, entry: DirectoryEntry): void {
  if (position < firstChild) reply.zeros(at, fuse_entry_out.sizeof);
  else reply.entry(at, entry.attributes, validSeconds);
}

function writeDirent({ reply }: Exchange, at: number, end: number, position: number, entry: DirectoryEntry): void {
  reply.u64(at + fuse_dirent.ino, entry.attributes.node);
  reply.u64(at + fuse_dirent.off, position + 1);
  reply.u32(at + fuse_dirent.namelen, entry.name.length);
  reply.u32(at + fuse_dirent.type, (entry.attributes.mode >>> 12) & 15);
  const name = at + fuse_dirent.sizeof;
  reply.bytes(name, entry.name);
  reply.zeros(name + entry.name.length, end - name - entry.name.length);
}
