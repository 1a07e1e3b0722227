import { CkptfsError } from '../../base/errors.ts';
import { descriptorSource } from './descriptor.ts';
import type { OpenSource } from './source.ts';

const MAX_DESCRIPTOR = 1023;

/** `fd:N`: a descriptor that the caller opened, of a file, a pipe or a socket. It stays open. */
export const openSource: OpenSource = (rest) => {
  const fd = /^(?:0|[1-9]\d{0,3})$/.test(rest) ? Number(rest) : Number.NaN;
  if (!(fd <= MAX_DESCRIPTOR))
    throw new CkptfsError('bad-argument', `fd: needs the number of a descriptor, 0 to ${MAX_DESCRIPTOR}`);
  return descriptorSource(`fd:${fd}`, fd, (status) => status.isFile() || status.isFIFO() || status.isSocket());
};
