import { CkptfsError } from '../../base/errors.ts';
import { readKeyFile } from '../key-file.ts';
import type { OpenSource } from './source.ts';

/** `file:PATH`: a key file. */
export const openSource: OpenSource = (path, { warn }) => {
  if (path === '') throw new CkptfsError('bad-argument', 'file: has no path');
  return {
    source: `key file ${path}`,
    gives: 'key',
    read: async () => {
      const { key, warning } = readKeyFile(path);
      if (warning !== undefined) warn?.(warning);
      return key;
    },
  };
};
