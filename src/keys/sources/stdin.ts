import { CkptfsError } from '../../base/errors.ts';
import { descriptorSource } from './descriptor.ts';
import type { OpenSource } from './source.ts';

const STANDARD_INPUT = 0;

/** `stdin:`: standard input, to its end. */
export const openSource: OpenSource = (rest) => {
  if (rest !== '') throw new CkptfsError('bad-argument', 'nothing may follow stdin:');
  return descriptorSource('stdin:', STANDARD_INPUT, (status) => !status.isDirectory());
};
