import type { Group } from '../scenario.ts';
import { convert } from './convert.ts';
import { crypto } from './crypto.ts';
import { growth } from './growth.ts';
import { nodes } from './nodes.ts';
import { processor } from './processor.ts';
import { random } from './random.ts';
import { restoreGroup } from './restore.ts';
import { many } from './restore-many.ts';
import { sequential } from './sequential.ts';
import { smallFiles } from './small-files.ts';
import { smallReads } from './small-reads.ts';
import { startGroup } from './start.ts';
import { tricksGroup } from './tricks.ts';
import { writing } from './writing.ts';

/** In the order of the page. */
export const groups: readonly Group[] = [
  sequential,
  random,
  restoreGroup,
  many,
  startGroup,
  smallFiles,
  smallReads,
  writing,
  convert,
  growth,
  nodes,
  processor,
  tricksGroup,
  crypto,
];
