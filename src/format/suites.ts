import { CkptfsError } from '../base/errors.ts';
import { type CipherName, cipherNames, DEFAULT_CIPHER } from './ciphers.ts';
import { type SlotJwe, slotAlgorithm, slotParameters } from './slot.ts';

/** What all algorithms of an image are chosen from (format.md §7). A header names every suite but the default one. */
export const suiteNames = ['default', 'fips'] as const;

export type SuiteName = (typeof suiteNames)[number];

export const DEFAULT_SUITE: SuiteName = 'default';

const FIPS_CIPHERS: readonly CipherName[] = ['aes-256-xts', 'aes-256-gcm'];
const FIPS_CURVES: readonly unknown[] = ['P-256', 'P-384', 'P-521'];

export function isSuiteName(name: string): name is SuiteName {
  return (suiteNames as readonly string[]).includes(name);
}

/** Returns the ciphers that an image of a suite may have. */
export function ciphersOf(suite: SuiteName): readonly CipherName[] {
  return suite === 'fips' ? FIPS_CIPHERS : cipherNames;
}

/** Refuses a cipher that is not of the suite. @throws CkptfsError `bad-argument` */
export function checkSuite(image: { readonly suite?: SuiteName | undefined; readonly cipher?: CipherName }): void {
  const { suite = DEFAULT_SUITE, cipher = DEFAULT_CIPHER } = image;
  const ciphers = ciphersOf(suite);
  if (ciphers.includes(cipher)) return;
  throw new CkptfsError(
    'bad-argument',
    `cipher ${cipher} is not of suite ${suite}, which has ${ciphers.join(' and ')}`,
    {
      data: { reason: 'suite' },
    },
  );
}

/** Returns whether an image of a suite may have a key slot. Whatever a service does with its key is its own matter. */
export function isSlotOfSuite(slot: SlotJwe, suite: SuiteName): boolean {
  if (suite !== 'fips') return true;
  const algorithm = slotAlgorithm(slot) ?? '';
  if (algorithm !== 'ECDH-ES+A256KW') return FIPS_ALGORITHM.test(algorithm);
  const epk = slotParameters(slot)?.get('epk');
  return typeof epk === 'object' && epk !== null && 'crv' in epk && FIPS_CURVES.includes(epk.crv);
}

const FIPS_ALGORITHM = /^(A128KW|A192KW|A256KW|PBES2-HS512\+A256KW|RSA-OAEP-256|ckptfs-[a-z0-9]+)$/;
