import { CkptfsError } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { readFromKeyring } from '../keyring.ts';
import { keySource, type OpenSource } from './source.ts';

/** `keyring:NAME`: a key of type `user` in the kernel, whose text is the key in hexadecimal. */
export const openSource: OpenSource = (name) => {
  if (name === '' || name.includes('\0')) throw new CkptfsError('bad-argument', 'keyring: needs the name of a key');
  return keySource(`keyring:${printable(name)}`, (into) => readFromKeyring(name, into));
};
