import { archiveFieldsTarget } from './archive-fields-target.ts';
import { archiveTarget } from './archive-target.ts';
import { criuCipherTarget, criuDamagedImageTarget, criuHostileImageTarget, criuPiecesTarget } from './criu-targets.ts';
import { fuseTarget, imageRequestsTarget } from './fuse-targets.ts';
import { fuseWritableTarget } from './fuse-writable-target.ts';
import { headerTarget, slotTarget } from './header-target.ts';
import { entriesTarget, frameTarget } from './journal-target.ts';
import { privateKeyTarget, publicKeySlotTarget, publicKeyTarget } from './key-targets.ts';
import { kmipTarget } from './kmip-target.ts';
import { envelopeTarget, manifestTarget } from './manifest-target.ts';
import { accessProfileTarget, blockTableTarget, packedBlockTarget } from './mounted-remote-targets.ts';
import { chunkTarget, objectTarget } from './object-target.ts';
import { remoteAnswersTarget, remoteIndexTarget } from './remote-targets.ts';
import { signaturesTarget } from './signatures-target.ts';
import type { FuzzTarget } from './target.ts';
import { keyFileTarget, mountInfoTarget } from './text-targets.ts';

/** Every parser of bytes that come from outside. */
export const fuzzTargets: readonly FuzzTarget[] = [
  headerTarget,
  slotTarget,
  signaturesTarget,
  envelopeTarget,
  manifestTarget,
  entriesTarget,
  frameTarget,
  objectTarget,
  chunkTarget,
  archiveTarget,
  archiveFieldsTarget,
  keyFileTarget,
  privateKeyTarget,
  publicKeyTarget,
  publicKeySlotTarget,
  kmipTarget,
  remoteIndexTarget,
  remoteAnswersTarget,
  blockTableTarget,
  accessProfileTarget,
  packedBlockTarget,
  criuCipherTarget,
  criuDamagedImageTarget,
  criuHostileImageTarget,
  criuPiecesTarget,
  fuseTarget,
  fuseWritableTarget,
  imageRequestsTarget,
  mountInfoTarget,
];
