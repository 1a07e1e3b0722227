import { hash } from 'node:crypto';
import { BLOCK_DIGEST_SIZE } from '../../format/block-table.ts';

/** Tells whether bytes are the packed block that a digest of 32 hexadecimal digits belongs to. */
export function hasDigest(packed: Uint8Array, digest: string): boolean {
  return hash('sha256', packed, 'hex').slice(0, 2 * BLOCK_DIGEST_SIZE) === digest;
}
