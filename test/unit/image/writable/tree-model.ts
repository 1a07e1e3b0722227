/** What a writable image must be, kept in the plainest way. */

const SECTOR = 4096;

export interface FileModel {
  readonly type: 'file';
  bytes: Buffer;
  /** Whether each sector was written. */
  sectors: boolean[];
  names: number;
}

export interface DirectoryModel {
  readonly type: 'directory';
  readonly children: Map<string, NodeModel>;
}

export interface SymlinkModel {
  readonly type: 'symlink';
  readonly target: string;
}

export interface MeetingModel {
  readonly type: 'fifo' | 'socket';
}

export type NodeModel = FileModel | DirectoryModel | SymlinkModel | MeetingModel;

export function emptyFile(): FileModel {
  return { type: 'file', bytes: Buffer.alloc(0), sectors: [], names: 1 };
}

export function emptyDirectory(): DirectoryModel {
  return { type: 'directory', children: new Map() };
}

export function resize(file: FileModel, size: number): void {
  const bytes = Buffer.alloc(size);
  file.bytes.copy(bytes);
  file.bytes = bytes;
  const count = Math.ceil(size / SECTOR);
  file.sectors = Array.from({ length: count }, (_, at) => file.sectors[at] ?? false);
}

export function write(file: FileModel, offset: number, bytes: Buffer): void {
  resize(file, Math.max(file.bytes.length, offset + bytes.length));
  bytes.copy(file.bytes, offset);
  const last = Math.floor((offset + bytes.length - 1) / SECTOR);
  for (let sector = Math.floor(offset / SECTOR); sector <= last; sector++) file.sectors[sector] = true;
}

export function punch(file: FileModel, offset: number, length: number): void {
  const end = Math.min(offset + length, file.bytes.length);
  if (offset >= end) return;
  file.bytes.fill(0, offset, end);
  for (const sector of file.sectors.keys()) {
    const isWhole = sector * SECTOR >= offset && Math.min((sector + 1) * SECTOR, file.bytes.length) <= end;
    if (isWhole) file.sectors[sector] = false;
  }
}

/** As lseek(2) SEEK_DATA, SEEK_HOLE; undefined for ENXIO. */
export function seek(file: FileModel, offset: number, whence: 'data' | 'hole'): number | undefined {
  const size = file.bytes.length;
  if (offset >= size) return undefined;
  for (let sector = Math.floor(offset / SECTOR); sector * SECTOR < size; sector++) {
    if (file.sectors[sector] === (whence === 'data')) return Math.max(offset, sector * SECTOR);
  }
  return whence === 'data' ? undefined : size;
}

export function dataSectors(file: FileModel): number {
  return file.sectors.filter((isData) => isData).length;
}

/** A tree as text: equal for equal trees. Names of one file are told apart from files of equal content. */
export function describe(root: DirectoryModel, contentOf: (file: FileModel) => string): string {
  const lines: string[] = [];
  const seen = new Map<FileModel, number>();
  const visit = (path: string, node: NodeModel): void => {
    if (node.type === 'directory') {
      lines.push(`${path}/`);
      for (const name of [...node.children.keys()].sort())
        visit(`${path}/${name}`, node.children.get(name) as NodeModel);
    } else if (node.type === 'symlink') lines.push(`${path} -> ${node.target}`);
    else if (node.type !== 'file') lines.push(`${path} ${node.type}`);
    else {
      const known = seen.get(node);
      if (known === undefined) seen.set(node, seen.size);
      lines.push(known === undefined ? `${path} ${contentOf(node)}` : `${path} = ${known}`);
    }
  };
  visit('', root);
  return lines.join('\n');
}
