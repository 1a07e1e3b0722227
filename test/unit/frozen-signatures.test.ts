// Goal: signatures that earlier versions made stay valid.
// Method: the frozen signed image is checked for each signer alone, and its signatures against other ways to trust.
import fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readTrustedSigners } from '../../src/keys/signers/trusted-signers.ts';
import { checkSignature } from '../../src/library/signatures.ts';
import { signedRoot } from '../support/frozen-images.ts';

const image = join(signedRoot, 'image');
const trusted = join(signedRoot, 'trusted');

/** What is in `trusted`, and how the signature that is found by it was made. */
const ways = [
  ['EdDSA.pem', 'EdDSA'],
  ['ES256.pem', 'ES256'],
  ['ES384.pem', 'ES384'],
  ['PS256.pem', 'PS256'],
  ['ssh.pub', 'EdDSA'],
  ['authority.crt', 'ES256'],
] as const;

test.each(ways)('the frozen signature that %s vouches for is valid, and is %s', async (name, algorithm) => {
  const accepted = await checkSignature(image, { trust: readTrustedSigners([join(trusted, name)]) });
  expect(accepted).toMatchObject({ algorithm, epoch: 1 });
});

test('all that is trusted was tried', () => {
  expect(ways.map(([name]) => name).sort()).toEqual(fs.readdirSync(trusted).sort());
});
