import type { TreeContents } from '../../image/read/describe.ts';
import { formatBytes } from './quantities.ts';

/** Returns rows of a table about what a tree has. */
export function contentsRows(contents: TreeContents): string[][] {
  const { files, directories, symlinks, fifos, sockets, fileBytes, dataBytes } = contents;
  return [
    ['files', `${files}`],
    ['directories', `${directories}`],
    ['symbolic links', `${symlinks}`],
    ...(fifos + sockets === 0 ? [] : [['FIFOs, sockets', `${fifos}, ${sockets}`]]),
    ['size of files', formatBytes(fileBytes)],
    ['of it data', formatBytes(dataBytes)],
  ];
}
