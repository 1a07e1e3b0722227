import type { Group } from '../scenario.ts';
import { convert } from './convert.ts';
import { crypto } from './crypto.ts';
import { growth } from './growth.ts';
import { random } from './random.ts';
import { restoreGroup } from './restore.ts';
import { sequential } from './sequential.ts';
import { smallFiles } from './small-files.ts';
import { tricksGroup } from './tricks.ts';
import { writing } from './writing.ts';

/** In the order of the page. */
export const groups: readonly Group[] = [
  sequential,
  random,
  restoreGroup,
  smallFiles,
  writing,
  convert,
  growth,
  tricksGroup,
  crypto,
];
