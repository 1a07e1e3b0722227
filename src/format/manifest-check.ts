import { MalformedError } from '../base/bytes.ts';
import { checkExtentOrder, checkInode, checkName, checkObject, require } from './inode-check.ts';
import { type FileInode, type Manifest, type ObjectEntry, ROOT_INODE } from './manifest.ts';

/**
 * Checks a manifest against every rule of format.md §5 that goes beyond the shape of single values.
 * @throws MalformedError
 */
export function checkManifest(manifest: Manifest, chunkSize: number): void {
  require(manifest.epoch >= 1, 'epoch 0');
  checkObjects(manifest.objects, chunkSize);
  const used = new Uint8Array(manifest.objects.length);
  for (const inode of manifest.inodes) {
    checkInode(inode);
    if (inode.type === 'file') checkExtents(inode, manifest.objects, chunkSize, used);
  }
  require(!used.includes(0), 'object that no file uses');
  checkEntries(manifest);
}

function checkObjects(objects: readonly ObjectEntry[], chunkSize: number): void {
  let previous: ObjectEntry | undefined;
  for (const object of objects) {
    checkObject(object, chunkSize);
    require(previous === undefined || previous.id.compare(object.id) < 0, 'objects out of order');
    previous = object;
  }
}

function checkExtents(file: FileInode, objects: readonly ObjectEntry[], chunkSize: number, used: Uint8Array): void {
  checkExtentOrder(file.extents);
  for (const extent of file.extents) {
    require(extent.fileOffset + extent.length <= file.size, 'extent beyond the end of its file');
    const object = objects[extent.object];
    if (object === undefined) throw new MalformedError('extent of an object that does not exist');
    const objectEnd = extent.objectOffset + extent.length;
    require(extent.objectOffset >= 0 && objectEnd <= object.chunks * chunkSize, 'extent beyond the end of its object');
    used[extent.object] = 1;
  }
}

function checkEntries({ inodes, entries }: Manifest): void {
  require(inodes[ROOT_INODE - 1]?.type === 'directory', 'no root directory');
  const links = new Uint32Array(inodes.length + 1);
  let parent = 0;
  let name: Buffer = Buffer.alloc(0);
  for (const entry of entries) {
    require(entry.parent > parent || (entry.parent === parent && name.compare(entry.name) < 0), 'entries out of order');
    ({ parent, name } = entry);
    require(inodes[parent - 1]?.type === 'directory', 'entry in what is no directory');
    checkName(name);
    const inode = inodes[entry.inode - 1];
    if (inode === undefined || entry.inode === ROOT_INODE) throw new MalformedError('entry of an impossible inode');
    const count = (links[entry.inode] ?? 0) + 1;
    links[entry.inode] = count;
    if (inode.type === 'directory') {
      require(count === 1, 'directory with two names');
      require(entry.inode > parent, 'directory numbered before its parent');
    }
  }
  for (let inode = ROOT_INODE + 1; inode <= inodes.length; inode++) require(links[inode] !== 0, 'inode without a name');
}
